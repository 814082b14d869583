# examples/asgi-service with its packages, without pip: the build has no network.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
WORKDIR /app
COPY . .
ENV PYTHONPATH=/app/packages PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
EXPOSE 3000
CMD ["python3", "service.py"]

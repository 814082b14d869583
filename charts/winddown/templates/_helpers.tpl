{{- define "winddown.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of nearly everything. 52 characters, so that suffixes and the pods' hashes fit behind it. */}}
{{- define "winddown.fullname" -}}
{{- $name := include "winddown.name" . }}
{{- if .Values.fullnameOverride }}
{{- $name = .Values.fullnameOverride }}
{{- else if not (contains $name .Release.Name) }}
{{- $name = printf "%s-%s" .Release.Name $name }}
{{- else }}
{{- $name = .Release.Name }}
{{- end }}
{{- $name | trunc 52 | trimSuffix "-" }}
{{- end }}

{{/* What tells this release's replicas from every other pod; must never change, a Deployment's selector cannot. */}}
{{- define "winddown.selectorLabels" -}}
app.kubernetes.io/name: {{ include "winddown.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: operator
{{- end }}

{{/* Of all objects but the replicas; without the component, so that no Service takes them for a replica. */}}
{{- define "winddown.labels" -}}
{{- $labels := dict
  "app.kubernetes.io/name" (include "winddown.name" .)
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_")
}}
{{- toYaml (merge $labels (.Values.commonLabels | default dict)) }}
{{- end }}

{{- define "winddown.serviceAccountName" -}}
{{- default (ternary (include "winddown.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- define "winddown.image" -}}
{{- with .Values.image }}
{{- with .registry }}{{ . }}/{{ end }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}
{{- end }}

{{/* What the two webhook configurations have in common. Takes root, settings (of one webhook) and path. */}}
{{- define "winddown.webhookMetadata" -}}
name: {{ include "winddown.fullname" .root }}
labels:
  {{- include "winddown.labels" .root | nindent 2 }}
{{- $annotations := dict }}
{{- if .root.Values.certManager.enabled }}
{{- $_ := set $annotations "cert-manager.io/inject-ca-from" (printf "%s/%s" .root.Release.Namespace (include "winddown.fullname" .root)) }}
{{- end }}
{{- with merge $annotations (.settings.annotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "winddown.webhook" -}}
admissionReviewVersions: [v1]
{{- /* Never a caBundle: the operator or cert-manager writes it, and with it here an upgrade would take it back or fail. */}}
clientConfig:
  service:
    name: {{ include "winddown.fullname" .root }}
    namespace: {{ .root.Release.Namespace | quote }}
    path: {{ .path }}
    port: 443
rules:
  - apiGroups: [apps]
    apiVersions: [v1]
    operations: [CREATE, UPDATE]
    resources: [deployments, statefulsets, daemonsets]
    scope: Namespaced
matchPolicy: Equivalent
sideEffects: None
failurePolicy: {{ .settings.failurePolicy }}
timeoutSeconds: {{ .root.Values.webhook.timeoutSeconds }}
{{- with .settings.namespaceSelector }}
namespaceSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.objectSelector }}
objectSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
matchConditions:
  {{- /* Before the change or after it: the last annotation taken away must reach us, too. */}}
  - name: has-winddown-annotation
    expression: >-
      [object, oldObject].exists(workload, workload != null &&
      [workload.?metadata.?annotations, workload.?spec.?template.?metadata.?annotations].exists(annotations,
      annotations.orValue({}).exists(key, key.startsWith("winddown.dev/"))))
  {{- /* Without a name the API server is still to make one (generateName). */}}
  - name: is-not-winddown-itself
    expression: >-
      request.resource.resource != "deployments" || request.?namespace.orValue("") != "{{ .root.Release.Namespace }}" ||
      request.?name.orValue("") != "{{ include "winddown.fullname" .root }}"
{{- end }}

{{- define "winddown.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of most objects. At most 52 characters, so that there is room for suffixes and the hash in pod names. */}}
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

{{/* Selects the replicas of this release. Must never change: the selector of a Deployment is immutable. */}}
{{- define "winddown.selectorLabels" -}}
app.kubernetes.io/name: {{ include "winddown.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: operator
{{- end }}

{{/* Labels of all objects except the replicas. Without the component, so that the Service does not select them. */}}
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

{{- define "winddown.username" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "winddown.serviceAccountName" . }}
{{- end }}

{{/* CEL: two objects have the same fields with the same values, apart from the named ones. Takes a, b and fields. */}}
{{- define "winddown.sameExcept" -}}
{{ .a }}.all(field, field in {{ .fields }} || field in {{ .b }}) &&
{{ .b }}.all(field, field in {{ .fields }} || field in {{ .a }} && {{ .a }}[field] == {{ .b }}[field])
{{- end }}

{{- define "winddown.image" -}}
{{- with .Values.image }}
{{- with .registry }}{{ . }}/{{ end }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}
{{- end }}

{{/* Shared by both webhook configurations. Takes root, settings (of one webhook) and path. */}}
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

{{/* CEL: an object or its pod template has an annotation of Winddown, except these keys. Takes workload and except. */}}
{{- define "winddown.annotated" -}}
[{{ .workload }}.?metadata.?annotations, {{ .workload }}.?spec.?template.?metadata.?annotations].exists(annotations,
annotations.orValue({}).exists(key, key.startsWith("winddown.dev/"){{ with .except }} && !(key in {{ . }}){{ end }}))
{{- end }}

{{/* One webhook. Takes root, settings, path, and wholeNamespaces: for workloads without annotations in labelled namespaces. */}}
{{- define "winddown.webhook" -}}
admissionReviewVersions: [v1]
{{- /* No caBundle: the operator or cert-manager sets it. If the chart set it, an upgrade would overwrite it or fail. */}}
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
{{- $selector := .settings.namespaceSelector | default dict }}
{{- if .wholeNamespaces }}
{{- $optedIn := dict "key" "winddown.dev/inject" "operator" "In" "values" (list "enabled") }}
{{- $selector = merge (dict "matchExpressions" (append ($selector.matchExpressions | default list) $optedIn)) $selector }}
{{- end }}
{{- with $selector }}
namespaceSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.objectSelector }}
objectSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
matchConditions:
  {{- if .wholeNamespaces }}
  {{- /* The other webhook receives every workload with an annotation, so also what Winddown injected before. If the API
         server calls this one again after another webhook, the object has what Winddown wrote the first time. */}}
  - name: has-no-winddown-annotation
    expression: >-
      !(oldObject != null && {{ include "winddown.annotated" (dict "workload" "oldObject") | nindent 6 | trim }}) &&
      !{{ include "winddown.annotated" (dict "workload" "object" "except" .except) | nindent 6 | trim }}
  {{- /* Other changes of a workload that is not injected do not lead to an injection. */}}
  - name: is-new-or-changes-its-template
    expression: oldObject == null || object.spec.template != oldObject.spec.template
  {{- else }}
  {{- /* Before or after the change: the removal of the last annotation must reach the webhook, too. */}}
  - name: has-winddown-annotation
    expression: >-
      [object, oldObject].exists(workload, workload != null &&
      {{ include "winddown.annotated" (dict "workload" "workload") | nindent 6 | trim }})
  {{- end }}
  {{- /* The name is empty if the API server has yet to generate it (generateName). */}}
  - name: is-not-winddown-itself
    expression: >-
      request.resource.resource != "deployments" || request.?namespace.orValue("") != "{{ .root.Release.Namespace }}" ||
      request.?name.orValue("") != "{{ include "winddown.fullname" .root }}"
{{- end }}

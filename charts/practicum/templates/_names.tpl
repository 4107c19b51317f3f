{{/* Names that several templates share. One release a cluster: the custom resources are the cluster's. */}}

{{- define "practicum.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "practicum.controller" -}}
{{ include "practicum.fullname" . }}-controller
{{- end -}}

{{- define "practicum.selector" -}}
app.kubernetes.io/name: practicum-controller
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "practicum.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/part-of: practicum
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* A whole reference is taken as it is; a bare name joins registry and tag. */}}
{{- define "practicum.image" -}}
{{- if regexMatch "[/:@]" .name -}}
{{ .name }}
{{- else -}}
{{ printf "%s/%s:%s" .images.registry .name .images.tag }}
{{- end -}}
{{- end -}}

{{- define "practicum.leaderElection" -}}
{{ or .Values.controller.leaderElection (gt (int .Values.controller.replicas) 1) }}
{{- end -}}

{{- define "practicum.tlsSecret" -}}
{{ .Values.ingest.tls.existingSecret | default (printf "%s-tls" (include "practicum.controller" .)) }}
{{- end -}}

{{- define "practicum.priorityClass" -}}
{{- if .Values.controller.priorityClassName -}}
{{ .Values.controller.priorityClassName }}
{{- else if .Values.priorityClass.create -}}
{{ include "practicum.controller" . }}
{{- end -}}
{{- end -}}

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
{{ .Values.ingest.tls.existingSecret | default (printf "%s-certificate" (include "practicum.controller" .)) }}
{{- end -}}

{{- define "practicum.priorityClass" -}}
{{- if .Values.controller.priorityClassName -}}
{{ .Values.controller.priorityClassName }}
{{- else if .Values.priorityClass.create -}}
{{ include "practicum.controller" . }}
{{- end -}}
{{- end -}}

{{/* The definitions and the roles of people belong to the cluster. Helm's own refusal names neither their owner nor a way out. */}}
{{- define "practicum.refuseAnotherRelease" -}}
{{- $own := printf "%s/%s" .Release.Namespace .Release.Name -}}
{{- $role := lookup "rbac.authorization.k8s.io/v1" "ClusterRole" "" "practicum-student" -}}
{{- if and $role (ne (include "practicum.owner" $role) $own) -}}
{{- fail (printf "one release of this chart fits a cluster, and %s (NAMESPACE/NAME) is installed: upgrade that one, or uninstall it first" (include "practicum.owner" $role)) -}}
{{- end -}}
{{- if .Values.crds.install -}}
{{- range $name := list "weekjobs.practicum.dev" "courses.practicum.dev" -}}
{{- $crd := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" $name -}}
{{- if and $crd (ne (include "practicum.owner" $crd) $own) -}}
{{- fail (printf "the definitions are those of %s (NAMESPACE/NAME); to take them over with all week jobs: kubectl label crd weekjobs.practicum.dev courses.practicum.dev app.kubernetes.io/managed-by=Helm --overwrite && kubectl annotate crd weekjobs.practicum.dev courses.practicum.dev meta.helm.sh/release-name=%s meta.helm.sh/release-namespace=%s --overwrite" (include "practicum.owner" $crd) $.Release.Name $.Release.Namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "practicum.owner" -}}
{{- $marks := .metadata.annotations | default dict -}}
{{- printf "%s/%s" (index $marks "meta.helm.sh/release-namespace" | default "nobody") (index $marks "meta.helm.sh/release-name" | default "nobody") -}}
{{- end -}}

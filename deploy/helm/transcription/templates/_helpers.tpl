{{- define "transcription.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "transcription.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "transcription.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "transcription.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* What selectors select by. Takes a dict of root and component. */}}
{{- define "transcription.selector" -}}
app.kubernetes.io/name: {{ include "transcription.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "transcription.labels" -}}
{{ include "transcription.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "transcription.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "transcription.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "transcription.image" -}}
{{- $repository := required "image.repository is needed: where the image of the Bento was pushed" .Values.image.repository }}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}

{{- define "transcription.workerImage" -}}
{{- if .Values.worker.image.repository }}
{{- printf "%s:%s" .Values.worker.image.repository (default .Chart.AppVersion .Values.worker.image.tag) }}
{{- else }}
{{- include "transcription.image" . }}
{{- end }}
{{- end }}

{{- define "transcription.redisSecret" -}}
{{- default (printf "%s-redis" (include "transcription.fullname" .)) .Values.redis.existingSecret }}
{{- end }}

{{- define "transcription.modelsClaim" -}}
{{- if eq .Values.models.kind "existing" }}
{{- required "models.existingClaim is needed with models.kind=existing" .Values.models.existingClaim }}
{{- else }}
{{- printf "%s-models" (include "transcription.fullname" .) }}
{{- end }}
{{- end }}

{{- define "transcription.spoolClaim" -}}
{{- if eq .Values.spool.kind "existing" }}
{{- required "spool.existingClaim is needed with spool.kind=existing" .Values.spool.existingClaim }}
{{- else }}
{{- printf "%s-spool" (include "transcription.fullname" .) }}
{{- end }}
{{- end }}

{{- define "transcription.spoolUrl" -}}
{{- if eq .Values.spool.kind "object" }}
{{- required "spool.url is needed with spool.kind=object, such as s3://BUCKET/PATH" .Values.spool.url }}
{{- else -}}
/spool
{{- end }}
{{- end }}

{{- /* What every container of ours gets from ConfigMap, Secrets and values. */}}
{{- define "transcription.envFrom" -}}
- configMapRef:
    name: {{ include "transcription.fullname" . }}
{{- with .Values.secrets.existingSecret }}
- secretRef:
    name: {{ . }}
{{- end }}
{{- if .Values.secrets.values }}
- secretRef:
    name: {{ include "transcription.fullname" . }}
{{- end }}
{{- end }}

{{- define "transcription.env" -}}
{{- if .Values.redis.enabled }}
- name: REDIS_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "transcription.redisSecret" . }}
      key: REDIS_PASSWORD
- name: REDIS_URL
  value: redis://:$(REDIS_PASSWORD)@{{ include "transcription.fullname" . }}-redis:6379/0
{{- end }}
{{- if .Values.runners }}
{{- $urls := list }}
{{- range $group, $_ := .Values.runners }}
{{- $urls = append $urls (printf "http://%s-runner-%s:3000" (include "transcription.fullname" $) $group) }}
{{- end }}
- name: RUNNER_URL
  value: {{ join "," $urls }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Folders that are written: the root is read-only. Takes a dict of root and scratch (a size, or "" for none). */}}
{{- define "transcription.mounts" -}}
- name: tmp
  mountPath: /tmp
{{- if .scratch }}
- name: scratch
  mountPath: /scratch
- name: models
  mountPath: /models
{{- if ne .root.Values.spool.kind "object" }}
- name: spool
  mountPath: /spool
{{- end }}
{{- end }}
{{- end }}

{{- define "transcription.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 1Gi
{{- if .scratch }}
- name: scratch
  emptyDir:
    sizeLimit: {{ .scratch }}
- name: models
{{- if eq .root.Values.models.kind "none" }}
  emptyDir:
    sizeLimit: {{ .root.Values.models.ephemeralSize }}
{{- else }}
  persistentVolumeClaim:
    claimName: {{ include "transcription.modelsClaim" .root }}
{{- end }}
{{- if ne .root.Values.spool.kind "object" }}
- name: spool
  persistentVolumeClaim:
    claimName: {{ include "transcription.spoolClaim" .root }}
{{- end }}
{{- end }}
{{- end }}

{{- /* What all pods of ours have in common. Takes a dict of root and component. */}}
{{- define "transcription.podCommon" -}}
serviceAccountName: {{ include "transcription.serviceAccount" .root }}
automountServiceAccountToken: false
# Variables such as TRANSCRIPTION_PORT would be made of every Service otherwise.
enableServiceLinks: false
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "transcription.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "transcription.spread" -}}
{{- if .root.Values.topologySpread.enabled }}
topologySpreadConstraints:
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ $key }}
    maxSkew: {{ $.root.Values.topologySpread.maxSkew }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "transcription.selector" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end }}
{{- end }}

{{- /* Pods of ours start anew when a setting or a secret of the chart changes. */}}
{{- define "transcription.checksums" -}}
checksum/settings: {{ include (print .Template.BasePath "/configmap.yaml") . | sha256sum }}
checksum/secrets: {{ include (print .Template.BasePath "/secret.yaml") . | sha256sum }}
{{- end }}

{{- /* A value as text. Helm reads 1073741824 as a floating-point number, which would print as 1.073741824e+09. */}}
{{- define "transcription.plain" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}{{ else }}{{ toString . }}{{ end }}
{{- end }}

{{- /* The names under which the API is called: the service's short one in the cluster, the ingress's, and those of the settings. */ -}}
{{- define "transcription.allowedHosts" -}}
{{- $hosts := list (printf "%s.%s" (include "transcription.fullname" .) .Release.Namespace) }}
{{- if .Values.ingress.enabled }}
{{- $hosts = append $hosts .Values.ingress.host }}
{{- end }}
{{- with .Values.settings.ALLOWED_HOSTS }}
{{- $hosts = append $hosts . }}
{{- end }}
{{- join "," $hosts }}
{{- end }}

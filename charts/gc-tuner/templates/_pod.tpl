{{/* What the Deployment's pods and that of `helm test` have in common. */}}

{{- define "gc-tuner.pod" -}}
serviceAccountName: {{ include "gc-tuner.serviceAccountName" . }}
# Services named gc-tuner-… would otherwise become variables that begin like our own.
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
volumes:
  - name: config
    configMap:
      name: {{ include "gc-tuner.fullname" . }}
  {{- with include "gc-tuner.credentialSources" . }}
  - name: prometheus-credentials
    projected:
      sources:
        {{- . | nindent 8 }}
  {{- end }}
  {{- with .Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "gc-tuner.credentialSources" -}}
{{- $given := .Values.prometheus -}}
{{- $sources := list -}}
{{- with $given.bearerToken -}}
{{- if .secretName -}}
{{- $items := list (dict "key" .key "path" "token") -}}
{{- $sources = append $sources (dict "secret" (dict "name" .secretName "items" $items)) -}}
{{- end -}}
{{- end -}}
{{- with $given.ca -}}
{{- $items := list (dict "key" .key "path" "ca.crt") -}}
{{- if .secretName -}}
{{- $sources = append $sources (dict "secret" (dict "name" .secretName "items" $items)) -}}
{{- else if .configMapName -}}
{{- $sources = append $sources (dict "configMap" (dict "name" .configMapName "items" $items)) -}}
{{- end -}}
{{- end -}}
{{- with $given.clientCertificate -}}
{{- if .secretName -}}
{{- $items := list (dict "key" .certKey "path" "tls.crt") (dict "key" .keyKey "path" "tls.key") -}}
{{- $sources = append $sources (dict "secret" (dict "name" .secretName "items" $items)) -}}
{{- end -}}
{{- end -}}
{{- if $sources }}{{ toYaml $sources }}{{ end -}}
{{- end }}

{{- define "gc-tuner.container" -}}
image: {{ include "gc-tuner.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  - name: POD_NAME
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
  - name: POD_NAMESPACE
    valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
  - name: POD_UID
    valueFrom: {fieldRef: {fieldPath: metadata.uid}}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - name: config
    mountPath: /etc/gc-tuner
    readOnly: true
  {{- if include "gc-tuner.credentialSources" . }}
  - name: prometheus-credentials
    mountPath: {{ include "gc-tuner.credentials" . }}
    readOnly: true
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

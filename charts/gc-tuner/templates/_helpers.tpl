{{- define "gc-tuner.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/* Name of the objects: the release's, with the chart's unless that is in it. Shortened so that the
longest suffix fits into a label's 63 characters. */}}
{{- define "gc-tuner.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $whole := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- default $whole .Values.fullnameOverride | trunc 47 | trimSuffix "-" -}}
{{- end }}

{{- define "gc-tuner.selectorLabels" -}}
app.kubernetes.io/name: {{ include "gc-tuner.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "gc-tuner.podLabels" -}}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- with .Values.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "gc-tuner.labels" -}}
{{ include "gc-tuner.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "gc-tuner.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "gc-tuner.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: name the account that gc-tuner is to work with, or let the chart make one: serviceAccount.create=true" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "gc-tuner.image" -}}
{{- $image := .Values.image -}}
{{- $repository := required "image.repository: not set: give registry and path of the image, such as registry.example.com/gc-tuner" $image.repository -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end }}

{{- define "gc-tuner.credentials" -}}
/var/run/secrets/gc-tuner/prometheus
{{- end }}

{{/* The operator's YAML: what the chart sets, and `config`. The schema lets no key be in both. */}}
{{- define "gc-tuner.config" -}}
{{- $given := .Values.prometheus -}}
{{- $url := required "prometheus.url: not set: give one such as http://prometheus.monitoring:9090" $given.url -}}
{{- $prometheus := dict "url" $url "timeout" $given.timeout "headers" $given.headers -}}
{{- $folder := include "gc-tuner.credentials" . -}}
{{- if $given.bearerToken.secretName -}}
{{- $_ := set $prometheus "bearerTokenFile" (printf "%s/token" $folder) -}}
{{- end -}}
{{- if and $given.ca.secretName $given.ca.configMapName -}}
{{- fail "prometheus.ca: secretName and configMapName are both set: name one of them" -}}
{{- end -}}
{{- if or $given.ca.secretName $given.ca.configMapName -}}
{{- $_ := set $prometheus "caFile" (printf "%s/ca.crt" $folder) -}}
{{- end -}}
{{- if $given.clientCertificate.secretName -}}
{{- $_ := set $prometheus "certFile" (printf "%s/tls.crt" $folder) -}}
{{- $_ := set $prometheus "keyFile" (printf "%s/tls.key" $folder) -}}
{{- end -}}
{{- $set := dict "prometheus" $prometheus -}}
{{- with .Values.watchNamespaces -}}
{{- $_ := set $set "kubernetes" (dict "namespaces" .) -}}
{{- end -}}
{{- $_ := set $set "leaderElection" (dict "name" (include "gc-tuner.fullname" .)) -}}
{{- mustMergeOverwrite $set (deepCopy .Values.config) | toYaml -}}
{{- end }}

{{/* What of the operator's settings is read at the start only: HOT in tuner/settings/reload.py is the
rest, which gc-tuner takes over while it runs. */}}
{{- define "gc-tuner.coldConfig" -}}
{{- $hot := list "mode" "staleAfter" "samplesPerWindow" "revertPause" "planLifetime" "profiles" "defaultProfile" "trial" "law" "guards" -}}
{{- $config := include "gc-tuner.config" . | fromYaml -}}
{{- range $hot -}}{{- $_ := unset $config . -}}{{- end -}}
{{- toYaml $config -}}
{{- end }}

{{- define "gc-tuner.httpPort" -}}
{{- dig "http" "port" 8080 .Values.config -}}
{{- end }}

{{- define "gc-tuner.overridesName" -}}
{{- dig "overrides" "name" "" .Values.config | default "gc-tuner-overrides" -}}
{{- end }}

{{- define "gc-tuner.overridesNamespace" -}}
{{- dig "overrides" "namespace" "" .Values.config | default .Release.Namespace -}}
{{- end }}

{{/* Whether pods take turns by Leases: true, or nothing. */}}
{{- define "gc-tuner.elects" -}}
{{- if dig "leaderElection" "enabled" true .Values.config -}}true{{- end -}}
{{- end }}

{{- define "gc-tuner.leaseNamespace" -}}
{{- dig "leaderElection" "namespace" "" .Values.config | default .Release.Namespace -}}
{{- end }}

{{/* Names of the Leases, as a JSON list: one, or one a shard. */}}
{{- define "gc-tuner.leases" -}}
{{- $name := dig "leaderElection" "name" (include "gc-tuner.fullname" .) .Values.config -}}
{{- $shards := dig "leaderElection" "shards" 1 .Values.config | int -}}
{{- $names := list -}}
{{- if gt $shards 1 -}}
{{- range until $shards -}}
{{- $names = append $names (printf "%s-%d-of-%d" $name . $shards) -}}
{{- end -}}
{{- else -}}
{{- $names = list $name -}}
{{- end -}}
{{- toJson $names -}}
{{- end }}

{{/* Whether the admission policies are installed: true, or nothing. They need CEL's comprehensions
over two variables, which an API server takes from Kubernetes 1.33 on. */}}
{{- define "gc-tuner.policed" -}}
{{- $enabled := toString .Values.admissionPolicy.enabled -}}
{{- $can := semverCompare ">=1.33.0-0" .Capabilities.KubeVersion.Version -}}
{{- if or (eq $enabled "true") (and (eq $enabled "auto") $can (not .Values.watchNamespaces)) -}}true{{- end -}}
{{- end }}

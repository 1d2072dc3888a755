{{/* Pieces of CEL that the admission policies are made of. */}}

{{/* Whether what stands at a path is the same before and after, but for some of its fields. So what a
later Kubernetes adds is refused, too. Takes: path, such as `.spec`; except, names of fields. */}}
{{- define "gc-tuner.same" -}}
{{- $rest := printf ".transformMap(k, v, !(k in [%s]), v)" (join ", " .except) -}}
dyn(object{{ .path }}){{ $rest }} == dyn(oldObject{{ .path }}){{ $rest }}
{{- end }}

{{/* Whether the labels are the same before and after, but for gc-tuner.io/withdrawn, which comes and goes
to make another version of the object. */}}
{{- define "gc-tuner.sameLabels" -}}
{{- $rest := "metadata.?labels.orValue({}).transformMap(k, v, k != 'gc-tuner.io/withdrawn', v)" -}}
{{- $withdrawn := "metadata.?labels[?'gc-tuner.io/withdrawn'].orValue('true')" -}}
object.{{ $rest }} == oldObject.{{ $rest }} && object.{{ $withdrawn }} in ['true', oldObject.{{ $withdrawn }}]
{{- end }}

{{/* Whether it is a write to an object that is there already, and not by way of a subresource. */}}
{{- define "gc-tuner.updates" -}}
request.operation == 'UPDATE' && request.?subResource.orValue('') == ''
{{- end }}

{{/* What values gc-tuner writes, by setting: tuner/cluster/wellformed.py, with all of Go's units, which
a value may have had that is put back. Takes the name under which the barrier's threshold stands, as
CEL. */}}
{{- define "gc-tuner.forms" -}}
{'GOGC': '^(off|[1-9][0-9]{0,5})$', 'GOMEMLIMIT': '^(off|[1-9][0-9]{0,14}(B|KiB|MiB|GiB|TiB)?)$', {{ . }}: '^[1-9][0-9]{0,11}$'}
{{- end }}

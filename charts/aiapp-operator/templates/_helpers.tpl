{{- define "aiapp.labels" -}}
app.kubernetes.io/name: aiapp-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "aiapp.selector" -}}
app.kubernetes.io/name: aiapp-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "aiapp.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (ternary .Release.Name "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "aiapp.image" -}}
{{- $repository := required "image.repository must name where the operator's image was pushed, such as contoso.azurecr.io/aiapp-operator" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* What the operator may do where it follows AIApps. No Secrets, no tokens: those are for tenants. */}}
{{- define "aiapp.rules" -}}
- apiGroups: [aiapp.dev]
  resources: [aiapps]
  verbs: [get, list, watch]
- apiGroups: [aiapp.dev]
  resources: [aiapps/status]
  verbs: [get, patch]
# To own objects of an AIApp where the OwnerReferencesPermissionEnforcement admission plugin is on.
- apiGroups: [aiapp.dev]
  resources: [aiapps/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments, controllerrevisions]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services, serviceaccounts]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- end }}

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

{{- define "aiapp.metricsSecret" -}}
{{ .Values.metrics.tlsSecretName | default (printf "%s-metrics-tls" .Release.Name) }}
{{- end }}

{{- define "aiapp.image" -}}
{{- $repository := required "image.repository must name where the operator's image was pushed, such as contoso.azurecr.io/aiapp-operator" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* The namespaces to watch, comma-separated. An empty list would mean all of them, without the rights to read any. */}}
{{- define "aiapp.tenantNamespaces" -}}
{{- if not .Values.tenantNamespaces -}}
{{- fail "tenantNamespaces must list the namespaces whose AIApps the operator serves, such as --set 'tenantNamespaces={shop}'; or set clusterWide: true to watch all (values.yaml describes what that allows)" -}}
{{- end -}}
{{- join "," .Values.tenantNamespaces -}}
{{- end }}

{{/* The rights to manage AIApps and the objects they own. Secrets and tokens are separate: see rbac.yaml. */}}
{{- define "aiapp.rules" -}}
- apiGroups: [aiapp.dev]
  resources: [aiapps]
  verbs: [get, list, watch]
- apiGroups: [aiapp.dev]
  resources: [aiapps/status]
  verbs: [get, patch]
# Needed to set owner references where the OwnerReferencesPermissionEnforcement admission plugin is enabled.
- apiGroups: [aiapp.dev]
  resources: [aiapps/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [services, serviceaccounts]
  verbs: [get, list, watch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [events]
  # Listed for the Job that verifies a release, when it has no pod.
  verbs: [create, patch, list]
{{- end }}

{{/* Egress rules: DNS, TCP ports anywhere, and further rules. Takes {ports, extra}. */}}
{{- define "aiapp.egress" -}}
- ports:
    - { protocol: UDP, port: 53 }
    - { protocol: TCP, port: 53 }
- ports:
    {{- range .ports }}
    - { protocol: TCP, port: {{ . }} }
    {{- end }}
{{- with .extra }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The rights to write what AIApps own: the operator's, or with impersonate those of a ServiceAccount of each tenant. */}}
{{- define "aiapp.writes" -}}
- apiGroups: [apps]
  resources: [deployments]
  verbs: [create, patch, delete]
- apiGroups: [""]
  resources: [services, serviceaccounts]
  verbs: [create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [create, patch, delete]
{{- end }}

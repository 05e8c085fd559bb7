{{/* A map of texts, on one line. Quoted, never tpl: `${X}`, braces, line breaks and outer blanks come through as they are. */}}
{{- define "agent.texts" -}}
{{- $pairs := list }}
{{- range $key, $value := . }}
  {{- $pairs = append $pairs (printf "%q: %q" $key $value) }}
{{- end -}}
{ {{- join ", " $pairs -}} }
{{- end }}

{{/* Labels and annotations of an object or Pod: the top-level ones, then its own on top. Takes root, labels, annotations. */}}
{{- define "agent.marks" -}}
labels: {{ include "agent.texts" (mergeOverwrite (dict) (.root.Values.labels | default dict) (.labels | default dict)) }}
annotations: {{ include "agent.texts" (mergeOverwrite (dict) (.root.Values.annotations | default dict) (.annotations | default dict)) }}
{{- end }}

{{/* Every running component as a JSON list of {component, name, block, account}; block is its part of the values. */}}
{{- define "agent.components" -}}
{{- $values := .Values }}
{{- $shared := .Values.serviceAccount | default dict }}
{{- $found := list }}
{{- range .Values.workers }}
  {{- $account := mergeOverwrite (dict) ($shared.workers | default dict | deepCopy) (.serviceAccount | default dict) }}
  {{- $found = append $found (dict "component" "worker" "suffix" (print "worker-" .name) "block" . "account" $account
      "key" (printf "serviceAccount.workers.name, or in serviceAccount.name of worker %q" .name)) }}
{{- end }}
{{- range $key, $component := dict "dagProcessor" "dag-processor" "triggerer" "triggerer" "sentinel" "sentinel" }}
  {{- $block := index $values $key | default dict }}
  {{- if or (ne $key "sentinel") $block.enabled }}
    {{- $found = append $found (dict "component" $component "suffix" $component "block" $block
        "account" (index $shared $key | default dict) "key" (printf "serviceAccount.%s.name" $key)) }}
  {{- end }}
{{- end }}
{{- $components := list }}
{{- $taken := dict }}
{{- range $found }}
  {{- $name := printf "%s-%s" $values.resourceNamePrefix .suffix }}
  {{- $create := dig "create" true .account }}
  {{- if not (or $create .account.name) }}
    {{- fail (printf "create is false, so the account to use must be named in %s" .key) }}
  {{- end }}
  {{- $account := .account.name | default $name }}
  {{- range $object := list (print "Deployment " $name) (ternary (print "ServiceAccount " $account) "" $create) | compact }}
    {{- if hasKey $taken $object }}
      {{- fail (printf "%s would be rendered twice; give every worker and every account a name of its own" $object) }}
    {{- end }}
    {{- $_ := set $taken $object true }}
  {{- end }}
  {{- $annotations := mergeOverwrite (dict) ($shared.annotations | default dict) (.account.annotations | default dict) }}
  {{- $components = append $components (dict "component" .component "name" $name "block" .block
      "account" (dict "name" $account "create" $create "annotations" $annotations)) }}
{{- end }}
{{- $components | toJson }}
{{- end }}

{{/* The environment of one component; of two entries with one name Kubernetes takes the later. Takes root, component, block. */}}
{{- define "agent.env" -}}
{{- $values := .root.Values }}
{{- $env := list }}
{{- if ne .component "sentinel" }}
  {{- with or $values.agentTokenSecretName (and $values.agentToken "agent-token-secret") }}
    {{- $env = append $env (dict "name" "ASTRO_AGENT_CLIENT_API_TOKEN"
        "valueFrom" (dict "secretKeyRef" (dict "name" . "key" "token"))) }}
  {{- end }}
  {{- range $name, $value := dict
      "ASTRO_AGENT_CLIENT_API_TOKEN_FILE" $values.agentTokenFile
      "AIRFLOW__CORE__XCOM_BACKEND" $values.xcomBackend
      "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST" $values.dagBundleConfigList
      "AIRFLOW__SECRETS__BACKEND" $values.secretBackend
      "AIRFLOW__WORKERS__STATE_STORE_BACKEND" $values.stateStoreBackend }}
    {{- with $value }}{{ $env = append $env (dict "name" $name "value" .) }}{{ end }}
  {{- end }}
  {{- $env = concat $env ($values.commonEnv | default list) }}
{{- end }}
{{- range concat $env (.block.env | default list) }}
- name: {{ .name | quote }}
  {{- if .valueFrom }}
  valueFrom: {{ .valueFrom | toJson }}
  {{- else }}
  value: {{ .value | default "" | quote }}
  {{- end }}
{{- else }}
[]
{{- end }}
{{- end }}

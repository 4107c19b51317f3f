#!/usr/bin/env bash
# Builds the tools named from their pinned Go modules on first use and prints the path of each, one a line.
#
#   tools/cluster/build.sh TOOL...      (without TOOL: lists what it can build)
#
# A tool is cached under a key of its module's files and the Go version, so that all checkouts with the same pins share
# it. Programs are static (CGO_ENABLED=0), because the images of the operators contain nothing else. The modules pin the
# same versions of shared dependencies and use the same options, so that Go's build cache compiles each package once.
set -euo pipefail

root=$(cd "$(dirname "$0")" && pwd)
cache=${PRACTICUM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/practicum}/cluster
kubernetes=v1.36.3

# tool -> folder under modules/, package to build
declare -A tools=(
  [coredns]="coredns ."
  [etcd]="etcd ."
  [helm]="helm helm.sh/helm/v3/cmd/helm"
  [keda]="keda github.com/kedacore/keda/v2/cmd/operator"
  [keda-adapter]="keda github.com/kedacore/keda/v2/cmd/adapter"
  [kserve]="kserve github.com/kserve/kserve/cmd/manager"
  [kube-apiserver]="kubernetes k8s.io/kubernetes/cmd/kube-apiserver"
  [kube-controller-manager]="kubernetes k8s.io/kubernetes/cmd/kube-controller-manager"
  [kube-proxy]="kubernetes k8s.io/kubernetes/cmd/kube-proxy"
  [kube-scheduler]="kubernetes k8s.io/kubernetes/cmd/kube-scheduler"
  [kubectl]="kubernetes k8s.io/kubernetes/cmd/kubectl"
  [kubelet]="kubernetes k8s.io/kubernetes/cmd/kubelet"
  [kueue]="kueue sigs.k8s.io/kueue/cmd/kueue"
  [network-policies]="network-policies ."
  [pause]="pause ."
  [ray-operator]="kuberay github.com/ray-project/kuberay/ray-operator"
  [skaffold]="skaffold github.com/GoogleContainerTools/skaffold/v2/cmd/skaffold"
)

# The checksum database lacks an entry that these modules need; go.sum still pins them.
export GONOSUMDB=${GONOSUMDB:+$GONOSUMDB,}sigs.k8s.io/* GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=-buildvcs=false

# No inlining and no debug information: compiling takes a third less time, and the programs need not be fast.
compile="all=-l -dwarf=false"

# Version that a tool reports if its module has none.
build_ldflags() {
  case $1 in
    kubernetes) echo "-s -w -X k8s.io/component-base/version.gitVersion=$kubernetes -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36" ;;
    skaffold) echo "-s -w -X github.com/GoogleContainerTools/skaffold/v2/pkg/skaffold/version.version=v2.16.1" ;;
    # Without a cluster, helm renders for this Kubernetes; the default is 1.20, which the chart rejects.
    helm) echo "-s -w -X helm.sh/helm/v3/internal/version.version=v3.21.4 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=36" ;;
    *) echo "-s -w" ;;
  esac
}

# Prints the option that replaces a source file of a module (replace.list), or nothing.
replace_source() {
  local module=$1 folder=$2 name path file copy=$2/source
  [ -f "$root/modules/$module/replace.list" ] || return 0
  read -r name path file <"$root/modules/$module/replace.list"
  rm -rf "$copy"
  go mod download "$name"
  cp -r --no-preserve=mode "$(go list -m -f '{{.Dir}}' "$name")" "$copy"
  cp "$root/modules/$module/$file" "$copy/$path"
  cp "$root/modules/$module/go.mod" "$root/modules/$module/go.sum" "$folder/"
  (cd "$folder" && go mod edit -replace="$name=$copy" go.mod)
  echo "-modfile=$folder/go.mod"
}

build() {
  local tool=$1 module package key folder replacement started
  [ -n "${tools[$tool]:-}" ] || { echo "build.sh: unknown tool '$tool'; known: ${!tools[*]}" >&2; return 2; }
  read -r module package <<<"${tools[$tool]}"
  key=$({ go env GOVERSION GOARCH; cd "$root/modules/$module"; cat go.mod go.sum ./*.go ./*.txt ./*.list; build_ldflags "$module"; echo "$compile"; } 2>/dev/null | sha256sum | cut -c1-12)
  folder=$cache/bin/$module-$key
  [ -x "$folder/$tool" ] && { echo "$folder/$tool"; return; }
  mkdir -p "$folder"
  exec 9>"$folder/.lock"
  flock 9
  if [ ! -x "$folder/$tool" ]; then
    started=$SECONDS
    cd "$root/modules/$module"
    replacement=$(replace_source "$module" "$folder")
    # shellcheck disable=SC2086  # no replacement is no argument
    nice -n 10 go build -p "${PRACTICUM_BUILD_JOBS:-2}" -trimpath $replacement -gcflags="$compile" -ldflags="$(build_ldflags "$module")" -o "$folder/.$tool.partial" "$package"
    mv "$folder/.$tool.partial" "$folder/$tool"
    echo "built $tool in $((SECONDS - started)) s" >&2
  fi
  exec 9>&-
  echo "$folder/$tool"
}

command -v go >/dev/null || { echo "build.sh: the Go compiler is needed to build ${*:-the tools}" >&2; exit 3; }
[ $# -gt 0 ] || { printf '%s\n' "${!tools[@]}" | sort; exit; }
for tool in "$@"; do (build "$tool"); done

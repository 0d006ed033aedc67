#!/usr/bin/env bash
# Gets what is missing of the sets of models that were picked, one file after the other.
source "$(dirname "${BASH_SOURCE[0]}")/../lib/easel.sh"

need_path EASEL_MODELS
need EASEL_PICKS
need_program curl
# Models are for every tool to read.
umask 002

here=$(dirname "${BASH_SOURCE[0]}")
python=$(toml_python)
files=$("$python" "$here/sets.py" "$here/sets.toml" <<<"$EASEL_PICKS")
[ -n "$files" ] || misconfigured "EASEL_PICKS names no set"

missing=() present=0
while IFS=$'\t' read -ru 3 path url sha256 token; do
  if [ -f "$EASEL_MODELS/$path" ]; then
    present=$((present + 1))
    continue
  fi
  # Asked for once, before the first download, and only where a missing file needs it.
  [ "$token" = - ] || secret "$token" "${path##*/} needs a token of ${url%%/resolve/*}."
  missing+=("$path"$'\t'"$url"$'\t'"$sha256"$'\t'"$token")
done 3<<<"$files"
printf '%d of %d files are there\n' "$present" "$((present + ${#missing[@]}))"

steps "${#missing[@]}"
failed=()
for line in "${missing[@]}"; do
  IFS=$'\t' read -r path url sha256 token <<<"$line"
  step "Getting ${path##*/}"
  [ -z "${HF_ENDPOINT:-}" ] || url=${url/#https:\/\/huggingface.co/${HF_ENDPOINT%/}}
  [ "$sha256" != - ] || sha256=''
  bearer=''
  [ "$token" = - ] || bearer=${!token}
  fetch "$url" "$EASEL_MODELS/$path" "$sha256" '' "$bearer" || failed+=("${path##*/}")
done
[ "${#failed[@]}" -eq 0 ] || die "These could not be got: ${failed[*]}. Running this again goes on where it stopped."
printf 'All of them are there.\n'

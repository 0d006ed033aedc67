#!/usr/bin/env bash
# Downloads that go on where they stopped and are believed only when they are what they should be. Sourced by easel.sh.
# Beside FILE.part lies FILE.part.head, what the server said when that part was begun.

# Attempts that bring no new byte before a download is given up.
readonly FETCH_TRIES=5

# fetch URL FILE [SHA256] [BYTES] [TOKEN]: FILE appears when it is whole and right. SHA256 and BYTES may be empty; what
# a hub states about the file (X-Linked-Etag, X-Linked-Size) counts too. TOKEN travels in a header, is in no file and no
# argument, and curl does not send it on to another host. Fails by its exit code, after a sentence about why.
fetch() {
  local url=$1 file=$2 sha256=${3:-} bytes=${4:-} token=${5:-} part=$2.part tries=0 have outcome
  mkdir -p "$(dirname "$file")" || return 1
  # Tokens that earlier versions of this script left there when they were killed. What is another user's cannot be removed.
  rm -f "$(dirname "$file")"/*.part.auth 2>/dev/null || true
  # The first answer of a download that was killed.
  [ -f "$part.head" ] || [ ! -f "$part.head.new" ] || mv -T "$part.head.new" "$part.head"
  while :; do
    have=$(size_of "$part")
    outcome=0
    whole "$part" "$bytes" || transfer "$url" "$part" "$sha256" "$token" || outcome=$?
    case $outcome in
      0) break ;;
      2) return 1 ;;
    esac
    if [ "$(size_of "$part")" -gt "$have" ]; then tries=0; else tries=$((tries + 1)); fi
    if [ "$tries" -ge "$FETCH_TRIES" ]; then
      warn "the download broke off after $(size_of "$part") bytes; running this again goes on there"
      return 1
    fi
    sleep "$((tries * 2))"
  done
  if ! believe "$part" "$file" "${sha256:-$(stated "$part" sha256)}" "${bytes:-$(stated "$part" bytes)}"; then
    discard "$part"
    return 1
  fi
  sync "$part" && mv -T "$part" "$file" && discard "$part"
}

# One connection: 0 the end was reached, 1 it may be tried again, 2 it would end the same way.
transfer() {
  local url=$1 part=$2 sha256=$3 token=$4 arguments=() etag status code=0
  arguments=(--fail --location --max-redirs 10 --proto-redir '=https,http' --connect-timeout 30 --speed-limit 1 --speed-time 60)
  # Plain HTTP only to this machine.
  case $url in
    http://127.0.0.1:* | http://localhost:*) ;;
    *) arguments+=(--proto '=https' --proto-redir '=https') ;;
  esac
  if [ -t 2 ]; then arguments+=(--progress-bar); else arguments+=(--silent --show-error); fi
  etag=$(stated "$part" etag)
  if [ "$(size_of "$part")" -gt 0 ] && [ -n "$etag$sha256$(stated "$part" sha256)" ]; then
    arguments+=(--continue-at -)
    [ -z "$etag" ] || arguments+=(--header "If-Range: $etag")
  else
    discard "$part"
  fi
  # The token comes through a pipe, which is gone with this script however it ends; printf is the shell's own.
  [ -z "$token" ] || arguments+=(--header @/dev/fd/4)
  status=$(curl "${arguments[@]}" --dump-header "$part.head.new" --output "$part" --write-out '%{http_code}' -- "$url" \
    4< <(printf 'Authorization: Bearer %s\n' "$token")) || code=$?
  [ -f "$part.head" ] || [ ! -f "$part.head.new" ] || mv -T "$part.head.new" "$part.head"
  judge "$code" "${status:-000}" "$part"
}

# What curl's exit code $1 and the HTTP status $2 mean for the download $3.
judge() {
  case $1:$2 in
    0:*) return 0 ;;
    22:401 | 22:403)
      warn "the server answers $2: this file needs a token, or its licence has to be accepted on its page first"
      return 2 ;;
    22:408 | 22:429 | 22:5*)
      warn "the server answers $2"
      return 1 ;;
    22:416 | 33:* | 36:*)
      # Another version, or a server that cannot go on in the middle.
      discard "$3"
      return 1 ;;
    22:*) warn "the server answers $2" && return 2 ;;
    23:*) warn "the file cannot be written: the disk or its quota is full, or the folder is not ours" && return 2 ;;
    1:* | 3:* | 5:* | 27:* | 35:* | 47:* | 60:* | 77:*) warn "curl ends with code $1" && return 2 ;;
    *) return 1 ;;
  esac
}

# What the server said when the part $1 was begun: its etag (strong ones only), or the sha256 or bytes that a hub states.
stated() {
  [ -f "$1.head" ] || return 0
  tr -d '\r' <"$1.head" | awk -v wanted="$2" '
    tolower($1) == "etag:" { etag = ($2 ~ /^"/) ? $2 : "" }
    tolower($1) == "x-linked-etag:" { gsub(/"/, "", $2); if ($2 ~ /^[0-9a-f]+$/ && length($2) == 64) sha256 = $2 }
    tolower($1) == "x-linked-size:" { bytes = $2 }
    END { print wanted == "etag" ? etag : wanted == "sha256" ? sha256 : bytes }'
}

# Is the part $1 complete by its size? Only where the size is known for certain.
whole() {
  local bytes=${2:-$(stated "$1" bytes)}
  [ -n "$bytes" ] && [ "$(size_of "$1")" -eq "$bytes" ]
}

# Is $1, to be called $2, what it should be: of this SHA-256, of this size, and no page of a server that says no?
believe() {
  local part=$1 name sha256=$3 bytes=$4 start length
  name=$(basename "$2")
  start=$(head -c 200 "$part" | tr -d '\0' | tr '[:upper:]' '[:lower:]')
  case ${start#"${start%%[![:space:]]*}"} in
    '<!doctype'* | '<html'* | '<?xml'*) warn "$name: the server sent a web page, not a file; it probably asks for a login" && return 1 ;;
    '{'*) [[ $name == *.json ]] || { warn "$name: the server sent a message, not a file; it probably asks for a token" && return 1; } ;;
  esac
  if [ -n "$bytes" ] && [ "$(size_of "$part")" -ne "$bytes" ]; then
    warn "$name: $(size_of "$part") bytes came instead of $bytes" && return 1
  fi
  case $name in
    *.safetensors)
      # Eight bytes of length, then a JSON header of that length.
      length=$(head -c 8 "$part" | od -An -tu8 | tr -d ' ')
      if [ -z "$length" ] || [ "${#length}" -gt 9 ] || [ "$((length + 8))" -gt "$(size_of "$part")" ] ||
        [ "$(tail -c +9 "$part" | head -c 1)" != '{' ]; then
        warn "$name: this is no safetensors file" && return 1
      fi ;;
    *.gguf) [ "$(head -c 4 "$part")" = GGUF ] || { warn "$name: this is no GGUF file" && return 1; } ;;
  esac
  if [ -n "$sha256" ] && [ "$(sha256sum <"$part" | cut -d' ' -f1)" != "$sha256" ]; then
    warn "$name: its SHA-256 is not $sha256" && return 1
  fi
}

size_of() { stat -c %s "$1" 2>/dev/null || echo 0; }

# A download and all that lies beside it.
discard() { rm -f "$1" "$1.head" "$1.head.new"; }

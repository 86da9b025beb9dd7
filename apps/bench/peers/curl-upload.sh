#!/bin/sh
# Uploads a file with curl as people do by hand: curl-upload.sh URL FILE [CURL OPTIONS]
set -e
url=$1 file=$2
shift 2
id=$(cat /proc/sys/kernel/random/uuid)
curl -sf -o /dev/null "$@" -H 'Content-Type: application/json' \
  -d "{\"id\":\"$id\",\"name\":\"curl\",\"disk_format\":\"raw\",\"container_format\":\"bare\"}" "$url/v2/images"
exec curl -sf -o /dev/null "$@" -H 'Expect:' -H 'Content-Type: application/octet-stream' -T "$file" "$url/v2/images/$id/file"

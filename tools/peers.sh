#!/usr/bin/env bash
# Set up the real programs that the tests talk to: Debian packages named in tools/peers.d/*.list, and mail servers that
# exclude each other unpacked below build/peers. Starts nothing. Without root or apt it says what will be skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
peers=${PENFOLD_PEERS:-build/peers}
stamp=$peers/.stamp
sum=$(cat tools/peers.sh tools/peers.d/*.list | sha256sum | cut -d' ' -f1)
[ "$(cat "$stamp" 2>/dev/null)" = "$sum" ] && [ -z "${PENFOLD_PEERS_AGAIN:-}" ] && exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "peers: not root on a Debian system, so tests with real peer programs are skipped where a program is missing:"
  for name in swaks msmtp curl mutt nsd; do command -v "$name" >/dev/null || echo "peers:   no $name"; done
  [ -z "${PENFOLD_CI:-}" ] || { echo "peers: in CI nothing may be skipped" >&2; exit 1; }
  exit 0
fi

export DEBIAN_FRONTEND=noninteractive
retry() { for n in 1 2 3; do "$@" && return 0; sleep 2; done; return 1; }
# Packages must not start services of their own: this file tells invoke-rc.d so, for the time of the installation.
policy=/usr/sbin/policy-rc.d
[ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' > $policy; chmod 755 $policy; trap 'rm -f $policy' EXIT; }
retry apt-get update -qq
installed=$(ls tools/peers.d/*.list | grep -v /unpacked.list | xargs sed 's/#.*//' | tr -s ' \n' '\n' | sort -u | sed '/^$/d')
# shellcheck disable=SC2086
retry apt-get install -y -qq --no-install-recommends $installed >/dev/null

mkdir -p "$peers/debs"
sed 's/#.*//; /^ *$/d' tools/peers.d/unpacked.list | while read -r package folder; do
  (cd "$peers/debs" && ls "${package}"_*.deb >/dev/null 2>&1 || retry apt-get download -qq "$package")
  mkdir -p "$peers/$folder"
  dpkg -x "$peers/debs/${package}"_*.deb "$peers/$folder"
done
groupadd -f postdrop
for user in postfix opensmtpd opensmtpq Debian-exim vmail; do
  id "$user" >/dev/null 2>&1 || useradd -r -M -s /usr/sbin/nologin -d /nonexistent "$user"
done
echo "$sum" > "$stamp"

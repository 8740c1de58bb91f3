#!/usr/bin/env bash
# Installs the Debian package into a clean Debian with a real systemd, sends it real traffic, breaks the PBX, and removes it again.
#
#   scripts/try-package.sh [PACKAGE.deb]
#
# Without a package it is built first. Each check is one line: "ok: …" or "NOT OK: …"; the last line counts them. It needs root, debootstrap,
# systemd-nspawn, Kamailio, SIPp, Prometheus and Alertmanager, and says "skipped: …" where one is missing. CLEAN_ROOT names a root that
# debootstrap made earlier, which saves the download; it is copied. Everything runs in network namespaces without a way out.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$here"

skip() { echo "skipped: $*"; exit 0; }
[ "$(id -u)" -eq 0 ] || skip "network namespaces and containers need root"
for program in debootstrap systemd-nspawn nsenter ip kamailio sipp curl jq prometheus prometheus-alertmanager; do
    command -v "$program" >/dev/null || skip "$program is not installed"
done

package="${1:-}"
[ -n "$package" ] || package="$(scripts/package.sh | tail -n 1)"
[ -f "$package" ] || { echo "no package $package" >&2; exit 2; }

work="$(mktemp -d)"
root="$work/root"
name="siphound-try-$$"
pbx="$name-pbx"
phones="$name-phones"
passed=0
failed=0

# shellcheck disable=SC2329 # Called when the script ends.
clean_up() {
    local pid
    for namespace in "$pbx" "$phones"; do
        for pid in $(ip netns pids "$namespace" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null || true; done
        ip netns delete "$namespace" 2>/dev/null || true
    done
    rm -rf --one-file-system "$work"
}
trap clean_up EXIT

# check WHAT COMMAND…: one line about whether the command succeeds; what it says is shown where it does not.
check() {
    local what="$1" said
    shift
    if said="$("$@" 2>&1)"; then
        passed=$((passed + 1))
        echo "ok: $what"
    else
        failed=$((failed + 1))
        echo "NOT OK: $what"
        # shellcheck disable=SC2001 # Each line is indented.
        sed 's/^/    /' <<<"$said" | tail -n 20
    fi
}

# refuses COMMAND…: whether it fails.
refuses() { ! "$@"; }

# soon COMMAND…: tries for as long as PATIENCE seconds.
soon() {
    local end=$((SECONDS + ${PATIENCE:-30}))
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.5
    done
}

inside() { nsenter --target "$leader" --mount --uts --ipc --net --pid --cgroup --root -- env -C / -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "$@"; }
on_pbx() { ip netns exec "$pbx" "$@"; }
on_phones() { ip netns exec "$phones" "$@"; }

echo "# A clean Debian"
if [ -n "${CLEAN_ROOT:-}" ]; then
    cp -a --reflink=auto "$CLEAN_ROOT" "$root"
else
    mirror="$(awk '$1 == "URIs:" { print $2; exit } $1 == "deb" { print $2; exit }' /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null || true)"
    # The dependencies of the package come with it: there is no network later.
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,ca-certificates,libpcap0.8 \
        "${SUITE:-bookworm}" "$root" "${mirror:-http://deb.debian.org/debian}" >"$work/debootstrap.log"
fi
for namespace in "$pbx" "$phones"; do
    ip netns add "$namespace"
    ip -n "$namespace" link set lo up
done
link() {
    ip link add link0 netns "$pbx" type veth peer name link0 netns "$phones"
    ip -n "$pbx" address add 192.0.2.1/24 dev link0
    ip -n "$pbx" link set link0 up
    ip -n "$phones" address add 192.0.2.2/24 dev link0
    ip -n "$phones" address add 192.0.2.3/24 dev link0
    ip -n "$phones" link set link0 up
}
link
systemd-nspawn --quiet --directory="$root" --machine="$name" --register=no --keep-unit \
    --system-call-filter="landlock_create_ruleset landlock_add_rule landlock_restrict_self" \
    --network-namespace-path="/run/netns/$pbx" --boot </dev/null >"$work/boot.log" 2>&1 &
nspawn=$!
leader=""
find_leader() { leader="$(pgrep -P "$nspawn" -x systemd | head -n 1)" && [ -n "$leader" ]; }
soon find_leader
booted() { inside systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded'; }
PATIENCE=90 soon booted || { cat "$work/boot.log"; echo "it does not boot" >&2; exit 1; }
inside find / -xdev -path /proc -prune -o -path /sys -prune -o -path /run -prune -o -path /var/log -prune -o -print | sort >"$work/before"

echo "# Installing"
cp "$package" "$root/siphound.deb"
check "dpkg installs it" inside env DEBIAN_FRONTEND=noninteractive dpkg --install /siphound.deb
check "each of its files is there and as packed" inside sh -c 'dpkg --listfiles siphound | while read -r path; do [ -e "$path" ] || { echo "$path"; exit 1; }; done && [ -z "$(dpkg --verify siphound)" ]'
for path in /usr/bin/siphound /usr/share/man/man1/siphound.1.gz /usr/share/man/man1/siphound-run.1.gz \
    /usr/share/bash-completion/completions/siphound /usr/share/zsh/vendor-completions/_siphound \
    /usr/share/fish/vendor_completions.d/siphound.fish /etc/siphound/siphound.toml /usr/lib/systemd/system/siphound.service \
    /usr/lib/sysusers.d/siphound.conf /usr/lib/tmpfiles.d/siphound.conf /usr/share/siphound/prometheus/alerts.yml; do
    check "$path" grep -qxF "$path" <(inside dpkg --listfiles siphound)
done
check "the user siphound is there and cannot log in" inside sh -c 'getent passwd siphound | grep -q nologin'
check "the default configuration is valid" inside siphound check --config /etc/siphound/siphound.toml
check "systemd-analyze verify has nothing to say" inside sh -c 'said="$(systemd-analyze verify --man=no siphound.service 2>&1)"; echo "$said"; [ -z "$said" ]'
security="$(inside systemd-analyze security --offline=true siphound.service --no-pager | awk '/Overall exposure/ { print $(NF - 2) }')"
check "systemd-analyze security: $security, at most 1.7" awk "BEGIN { exit !($security <= 1.7) }"
check "the unit is enabled" inside systemctl is-enabled siphound

echo "# Running"
is_active() { [ "$(inside systemctl is-active siphound)" = active ]; }
check "the unit is active: systemd has heard READY=1" soon is_active
pid() { inside systemctl show --property=MainPID --value siphound; }
field() { inside sh -c "cat /proc/$(pid)/task/*/status" | awk -v name="$1:" '$1 == name { $1 = ""; print }' | sort -u | xargs; }
check "it runs as siphound" test "$(field Uid)" = "$(inside id -u siphound | sed 's/.*/& & & &/')"
for set in CapInh CapPrm CapEff CapAmb; do
    check "no thread has a capability: $set" test "$(field $set)" = 0000000000000000
done
check "no thread can get one: NoNewPrivs" test "$(field NoNewPrivs)" = 1
check "each thread has a seccomp filter" test "$(field Seccomp)" = 2
log() { inside journalctl --unit=siphound --no-pager --output=cat; }
# Reads to the end: journalctl does not like to be cut off.
says() { log | grep -cF "$1" >/dev/null; }
check "Landlock keeps all rules" says 'files_and_ports="all rules'
check "the history is siphound's alone" inside sh -c 'cd /var/lib/siphound && [ -s history.db ] && [ -z "$(find . -not -user siphound -o -perm /077)" ]'
metrics() { on_pbx curl --silent --fail http://127.0.0.1:15060/metrics; }
counts() { metrics | awk -v name="$1" 'index($1, name) == 1 { sum += $2 } END { print sum + 0 }'; }
check "/metrics answers on loopback" metrics
check "and nowhere else" refuses on_phones curl --silent --max-time 3 http://192.0.2.1:15060/metrics
check "systemctl status has a line of its own" grep -q Capturing <(inside systemctl show --property=StatusText siphound)
check "a reload is taken" inside systemctl reload siphound
inside sed -i 's/^\[limits\]$/&\ncallz = 1/' /etc/siphound/siphound.toml
check "a reload of a configuration that is not valid is refused" refuses inside systemctl reload siphound
inside sed -i '/^callz = 1$/d' /etc/siphound/siphound.toml
check "the unit goes on all the while" is_active

echo "# Real traffic"
kamailio="$work/kamailio"
mkdir "$kamailio"
on_pbx kamailio -f tests/live/kamailio.cfg -DD -E -m 32 -M 8 -Y "$kamailio" -A "CONTROL=\"unix:$kamailio/control\"" >"$work/kamailio.log" 2>&1 &
soon sh -c "ip -n $pbx -o link >/dev/null && ip netns exec $pbx ss --udp --listening --numeric | grep -q 192.0.2.1:5060"
# register ADDRESS PORT CALLS
register() {
    { echo SEQUENTIAL; for number in 1001 1002 1003 1004 1005; do echo "$number;[authentication username=$number password=right];$2"; done; } >"$work/users-$2"
    on_phones sipp 192.0.2.1:5060 -sf tests/live/register.xml -inf "$work/users-$2" -i "$1" -p "$2" -m "$3" -r 20 -nostdin >"$work/sipp-$2.log" 2>&1
}
check "five phones register at Kamailio" register 192.0.2.2 5090 5
check "and five at another site" register 192.0.2.3 5091 5
registered() { [ "$(counts siphound_registration_attempts_total)" = 10 ]; }
check "siphound counts all ten" soon registered

echo "# An incident, an alert, and the mend"
inside sh -c 'cat >>/etc/siphound/siphound.toml' <<'CONFIG'

[[notify.alertmanager]]
urls = ["http://127.0.0.1:9093"]
CONFIG
inside sed -i 's/^#* *resolve_after = .*/resolve_after = "0s"/; s/^#* *group_wait = .*/group_wait = "0s"/' /etc/siphound/siphound.toml
check "the changed configuration is valid" inside siphound check --config /etc/siphound/siphound.toml
check "the unit restarts" inside systemctl restart siphound
on_pbx prometheus-alertmanager --config.file=deploy/alertmanager/alertmanager.yml --storage.path="$work/alertmanager" \
    --web.listen-address=127.0.0.1:9093 --cluster.listen-address= >"$work/alertmanager.log" 2>&1 &
mkdir "$work/prometheus"
cp deploy/prometheus/*.yml "$work/prometheus/"
sed -i 's/scrape_interval: .*/scrape_interval: 2s/; s/evaluation_interval: .*/evaluation_interval: 2s/' "$work/prometheus/prometheus.yml"
on_pbx prometheus --config.file="$work/prometheus/prometheus.yml" --storage.tsdb.path="$work/prometheus/data" \
    --web.listen-address=127.0.0.1:9090 >"$work/prometheus.log" 2>&1 &
alerts() { on_pbx curl --silent --fail 'http://127.0.0.1:9093/api/v2/alerts'; }
soon alerts >/dev/null
# alert NAME STATE: whether Alertmanager has one about a PBX that does not respond.
alert() { [ "$(alerts | jq --arg name "$1" --arg state "$2" '[.[] | select(.labels.alertname == $name and .labels.finding == "pbx-not-responding" and .status.state == $state)] | length')" = 1 ]; }
# Says what there is where it is not as it should be.
shown() { "$@" || { alerts | jq -c '.[] | [.labels, .status]'; return 1; }; }
no_alert() { ! alert "$1" active && ! alert "$1" suppressed; }
check "the phones of one site register again" register 192.0.2.2 5090 5
check "and those of the other" register 192.0.2.3 5091 5
check "nothing is wrong" no_alert SiphoundFinding
servers="$(pgrep --full "kamailio.*$kamailio")"
# shellcheck disable=SC2086 # One process each.
kill -STOP $servers
register 192.0.2.2 5090 5 & sipp_one=$!
register 192.0.2.3 5091 5 & sipp_two=$!
PATIENCE=120 check "Kamailio hangs: siphound's own alert arrives at Alertmanager" soon alert SiphoundFinding active
PATIENCE=60 check "and so does that of Prometheus' rule, inhibited by the former" shown soon alert SipPbxNotResponding suppressed
# shellcheck disable=SC2086 # One process each.
kill -CONT $servers
wait "$sipp_one" "$sipp_two" || true
register 192.0.2.2 5090 5 || true
PATIENCE=90 check "Kamailio answers: siphound's alert is resolved" soon no_alert SiphoundFinding
PATIENCE=400 check "and that of Prometheus' rule" soon no_alert SipPbxNotResponding

echo "# An interface that goes and comes"
inside sh -c 'sed -i "s/^#* *interfaces = .*/interfaces = [\"link0\"]/" /etc/siphound/siphound.toml && systemctl restart siphound'
restarts() { [ "$(inside systemctl show --property=NRestarts --value siphound)" = "$1" ]; }
# The /sys of the container shows the interfaces of another namespace, so that siphound cannot see there that one is down: tests/live does.
ip -n "$pbx" link delete link0
gone() { [ "$(on_pbx curl --silent --output /dev/null --write-out '%{http_code}' http://127.0.0.1:15060/readyz)" = 503 ]; }
check "it is removed: siphound goes on serving and is not ready" soon gone
link
restarted() { restarts 1 && is_active; }
check "it is there again: the unit is started anew, with its capability" soon restarted
check "  with exit code 5" says 'status=5'
check "  and knows the registrations again" soon says "Registrations and calls were taken up from the traces"

echo "# A process that is stuck"
inside sh -c 'mkdir -p /etc/systemd/system/siphound.service.d && printf "[Service]\nWatchdogSec=6\n" >/etc/systemd/system/siphound.service.d/try.conf && systemctl daemon-reload && systemctl restart siphound'
sleep 14
check "systemd hears of it while it gets on" restarts 0
check "  it is active" is_active
inside sh -c "kill -STOP $(pid)"
PATIENCE=60 check "it is stopped: the watchdog starts it anew" soon restarted
inside sh -c 'rm -r /etc/systemd/system/siphound.service.d && systemctl daemon-reload'

echo "# Removing"
check "dpkg removes it" inside dpkg --remove siphound
check "data and configuration stay" inside sh -c '[ -s /var/lib/siphound/history.db ] && [ -s /etc/siphound/siphound.toml ]'
check "nothing of it runs" refuses inside sh -c 'cat /proc/[0-9]*/comm | grep -qx siphound'
check "dpkg purges it" inside dpkg --purge siphound
inside find / -xdev -path /proc -prune -o -path /sys -prune -o -path /run -prune -o -path /var/log -prune -o -print | sort >"$work/after"
left() { ! comm -13 "$work/before" "$work/after" | grep -vE '^/(siphound\.deb|var/lib/(dpkg|systemd|apt)|etc/.*-$|tmp/|var/tmp/)' | grep .; }
check "nothing is left, also no data: a purge is meant so" left
check "the user is gone" refuses inside getent passwd siphound

echo "$passed checks passed, $failed failed"
[ "$failed" -eq 0 ]

#!/bin/busybox sh
# Process 1 of the virtual machine: starts the daemon, lets it catch a hash
# loop, and reports every check on the console for `cargo xtask vm` to read.
# A check that cannot be made is a check that failed.

/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t securityfs securityfs /sys/kernel/security
ip link set lo up
dmesg -n 1
uname -a

check() {
    name=$1
    shift
    if "$@"; then echo "VM-OK $name"; else echo "VM-FAIL $name"; fi
}

# Waits up to $1 seconds for the command in the other arguments to succeed; no
# longer than the daemon lives.
within() {
    left=$1
    shift
    until "$@"; do
        [ "$left" -gt 0 ] && [ -d "/proc/$daemon" ] || return 1
        left=$((left - 1))
        sleep 1
    done
}

event() { grep -q "\"event\":\"$1\"" /tmp/events; }

gone() { grep '"event":"action"' /tmp/events | grep -q '"outcome":"gone"' && ! [ -d "/proc/$miner" ]; }

# The program that sees suspects' connections was loaded, and sees one.
listening() {
    wget -q -O /tmp/metrics http://127.0.0.1:10066/metrics && above_zero unjack_stratum_sockets
}

# Not only until the kernel has refused the program.
keeps_listening() { listening && sleep 2 && listening; }

# The sum of the metric $1 over all its labels is above zero.
above_zero() {
    awk -v name="$1" '$1 == name || index($1, name "{") == 1 { sum += $NF } END { exit !(sum > 0) }' \
        /tmp/metrics
}

# The killed program does not get to print anything again, and the kernel counts.
refused() {
    within 30 event ban || return 1
    timeout 5 /tmp/miner sha256d >/tmp/again 2>/dev/null
    unjack bans list >/tmp/bans
    [ ! -s /tmp/again ] && grep -q "^[0-9a-f]* *[1-9]" /tmp/bans
}

# Processes that are gone at once, several side by side; every record decodes.
many_processes() {
    round=0
    while [ $round -lt 100 ]; do
        started=
        for each in 1 2 3 4 5 6 7 8; do
            /bin/busybox true &
            started="$started $!"
        done
        wait $started
        round=$((round + 1))
    done
    wget -q -O /tmp/metrics http://127.0.0.1:10066/metrics &&
        grep -q '^unjack_events_malformed_total' /tmp/metrics &&
        ! above_zero unjack_events_malformed_total && ! above_zero unjack_tasks_untracked_total
}

# The kernel found nothing wrong. What it says of time that went missing is emulation's.
no_complaints() {
    ! dmesg | grep -E 'WARNING:|BUG:|Oops|general protection|invalid opcode' | grep -v 'soft lockup'
}

stopped() { kill -TERM "$daemon" && wait "$daemon"; }

check doctor unjack doctor
check selftest unjack selftest
unjack run --log.format json --action kill --min-cpu 10 >/tmp/events 2>/tmp/log &
daemon=$!
check ready within 60 event ready
# Not where the system keeps its own, nor a copy of it: those are never banned.
mv /bin/workload /tmp/miner
# The pool's program is another image, of which nothing can be said.
cp /tmp/miner /tmp/pool
echo >>/tmp/pool
/tmp/pool serve-pool --listen 127.0.0.1:3333 >/tmp/served &
within 30 grep -q started /tmp/served
POOL=127.0.0.1:3333 /tmp/miner sha256d >/tmp/work &
miner=$!
check stratum within 60 keeps_listening
check killed within 90 gone
wget -q -O /tmp/metrics http://127.0.0.1:10066/metrics
check cpu-seconds above_zero unjack_cpu_seconds_total
check samples above_zero unjack_samples_total
check banned refused
check many-processes many_processes
check shutdown stopped
check dmesg no_complaints

echo "--- events"
cat /tmp/events
echo "--- the bans"
cat /tmp/bans
echo "--- the daemon's log"
cat /tmp/log
echo "--- the hash loop's output"
cat /tmp/work
sync
poweroff -f

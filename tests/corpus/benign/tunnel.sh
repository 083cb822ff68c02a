#!/bin/sh
# A transfer through a tunnel in user space, for a minute: tunnel.sh wireguard|openvpn
# Its two ends are in two network namespaces, joined by a pair of virtual links; needs root.
set -eu
kind=$1
one=corpus-$kind-1 two=corpus-$kind-2

clean() {
	ip netns del "$one" 2>/dev/null || true
	ip netns del "$two" 2>/dev/null || true
}
# What it started ends with it.
started=
trap 'kill $started 2>/dev/null || true; clean' EXIT
trap 'exit 1' TERM INT
clean
ip netns add "$one"
ip netns add "$two"
ip -n "$one" link add link0 type veth peer name link0 netns "$two"
for end in "$one 1" "$two 2"; do
	set -- $end
	ip -n "$1" addr add "192.0.2.$2/24" dev link0
	ip -n "$1" link set link0 up
	ip -n "$1" link set lo up
done

# The tunnel's end in namespace $1, number $2 of two; the other is number $3.
end_wireguard() {
	ip netns exec "$1" env LOG_LEVEL=silent WG_PROCESS_FOREGROUND=1 wireguard-go -f "wg$2" &
	started="$started $!"
	sleep 1
	ip netns exec "$1" wg set "wg$2" private-key "tunnel/key$2" listen-port 51820 \
		peer "$(wg pubkey <"tunnel/key$3")" allowed-ips 198.51.100.0/24 endpoint "192.0.2.$3:51820"
	ip -n "$1" addr add "198.51.100.$2/24" dev "wg$2"
	ip -n "$1" link set "wg$2" up
}

end_openvpn() {
	role=$([ "$2" = 1 ] && echo '--tls-server --dh none' || echo --tls-client)
	# shellcheck disable=SC2086
	ip netns exec "$1" openvpn --dev "tun$2" --local "192.0.2.$2" --remote "192.0.2.$3" --proto udp \
		--ifconfig "198.51.100.$2" "198.51.100.$3" $role --ca tunnel/ca.crt --cert tunnel/ca.crt --key tunnel/ca.key \
		--data-ciphers CHACHA20-POLY1305 --verb 0 &
	started="$started $!"
}

"end_$kind" "$one" 1 2
"end_$kind" "$two" 2 1
ip netns exec "$two" sh -c 'until iperf3 -s -B 198.51.100.2; do sleep 1; done' >/dev/null 2>&1 &
started="$started $!"
tries=20
until ip netns exec "$one" iperf3 -c 198.51.100.2 -t 60 --connect-timeout 2000; do
	tries=$((tries - 1))
	[ "$tries" -gt 0 ]
	sleep 1
done

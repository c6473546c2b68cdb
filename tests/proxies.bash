# A proxy between two ends (tests/upstream.c), the upstream and the client, and what each of them hears of the
# other. PROXY=haproxy, nginx or socat runs what is said here of day 7's proxy with that one in its place.

END=./build/tests/upstream
export UPSTREAM_PORT

# start_upstream [OPTION]...: sets UPSTREAM, its process id, UPSTREAM_PORT and UPSTREAM_LOG.
start_upstream() {
	start_server "$END" "$@" 0
	UPSTREAM=$PID UPSTREAM_PORT=$PORT UPSTREAM_LOG=$LOG
}

# start_echo [OPTION]...: day 5's server is the upstream.
start_echo() {
	start_server ./day05/echo "$@" 0
	UPSTREAM=$PID UPSTREAM_PORT=$PORT UPSTREAM_LOG=$LOG
}

# start_proxy [OPTION]...: to the upstream; sets PID, PORT and LOG.
start_proxy() {
	if [ -n "${PROXY:-}" ]; then
		"start_$PROXY"
	else
		start_server "${ECHO[@]}" "$@" 0
	fi
}

# write_to_upstream: writes a command that runs day 7's proxy, with the options given and a port, to the upstream.
write_to_upstream() {
	cat >"$BATS_TEST_TMPDIR/to_upstream" <<-'END'
		#!/bin/sh
		exec ./day07/proxy "$@" "127.0.0.1:$UPSTREAM_PORT"
	END
	chmod +x "$BATS_TEST_TMPDIR/to_upstream"
	echo "$BATS_TEST_TMPDIR/to_upstream"
}

# The other proxies take a port and say nothing of it: it is one that nobody listens on.
start_other() {
	PORT=$OTHER_PORT LOG=$BATS_TEST_TMPDIR/other
	"$@" >"$LOG" 2>"$LOG.err" 3>&- &
	PID=$!
	SERVERS+=("$PID")
	wait_until listens_on_port || {
		cat "$LOG" "$LOG.err"
		return 1
	}
}

listens_on_port() {
	[ -n "$(ss -Htln "sport = :$PORT")" ]
}

choose_port() {
	start_server "$END" 0
	kill -KILL "$PID"
	wait "$PID" || true
	OTHER_PORT=$PORT
}

# end_upstream: nobody listens on its port any more.
end_upstream() {
	kill -KILL "$UPSTREAM"
	wait "$UPSTREAM" || true
}

start_haproxy() {
	choose_port
	cat >"$BATS_TEST_TMPDIR/haproxy.cfg" <<-END
		global
		  maxconn 2000
		  nbthread 1
		defaults
		  mode tcp
		  timeout connect 1s
		  timeout client 60s
		  timeout server 60s
		listen l
		  bind 127.0.0.1:$OTHER_PORT
		  retries 0
		  server s 127.0.0.1:$UPSTREAM_PORT
	END
	start_other haproxy -db -f "$BATS_TEST_TMPDIR/haproxy.cfg"
}

start_nginx() {
	choose_port
	cat >"$BATS_TEST_TMPDIR/nginx.conf" <<-END
		$(sed -n 's,^load_module ,load_module /usr/lib/nginx/,p' /etc/nginx/modules-enabled/50-mod-stream.conf 2>/dev/null || true)
		daemon off; master_process off; user root; pid $BATS_TEST_TMPDIR/nginx.pid; error_log stderr crit;
		worker_processes 1; events { worker_connections 2000; }
		stream { server { listen 127.0.0.1:$OTHER_PORT so_keepalive=on; proxy_pass 127.0.0.1:$UPSTREAM_PORT;
			proxy_connect_timeout 1s; proxy_half_close on; } }
	END
	start_other nginx -e stderr -p "$BATS_TEST_TMPDIR" -c "$BATS_TEST_TMPDIR/nginx.conf"
}

start_socat() {
	choose_port
	start_other socat -t 30 "TCP-LISTEN:$OTHER_PORT,bind=127.0.0.1,fork,reuseaddr,backlog=1024,nodelay" \
		"TCP:127.0.0.1:$UPSTREAM_PORT,connect-timeout=1,nodelay"
}

# client [OPTION]...: one that talks to the proxy, until it has ended. It says what it has heard.
client() {
	"$END" --client "$@" "$PORT"
}

# start_client [OPTION]...: one that goes on, once it is connected; sets CLIENT and CLIENT_LOG.
start_client() {
	CLIENT_LOG=$BATS_TEST_TMPDIR/client.$BASHPID.${#SERVERS[@]}
	"$END" --client "$@" "$PORT" >"$CLIENT_LOG" 2>&1 3>&- &
	CLIENT=$!
	SERVERS+=("$CLIENT")
	wait_until grep -q . "$CLIENT_LOG"
	grep -q '^ready' "$CLIENT_LOG"
}

# release PID: the end that waits for a signal gets it.
release() {
	kill -USR1 "$1"
}

# client_hears PATTERN: the client's line, in the end.
client_hears() {
	wait_until grep -Eq "^[0-9]+: $1\$" "$CLIENT_LOG" || {
		cat "$CLIENT_LOG"
		return 1
	}
}

# upstream_hears PATTERN [COUNT]: so many lines of the upstream's, or one.
upstream_hears() {
	wait_until has_lines "$UPSTREAM_LOG" "^[0-9]+: $1\$" "${2:-1}" || {
		cat "$UPSTREAM_LOG"
		return 1
	}
}

# hears PATTERN COMMAND...: the command is a client that hears this, and nothing else happens to it.
hears() {
	local heard

	heard=$("${@:2}" | grep -v ready) || true
	echo "$heard"
	grep -Eqx "0: $1" <<<"$heard"
}

# The proxy ends as it should, if it is ours.
stop_proxy() {
	[ -n "${PROXY:-}" ] || stop_clean
}

# connecting: how many sockets are trying to reach the upstream; one of them is the upstream's own, if it is full.
connecting() {
	ss -Htn state syn-sent "dport = :$UPSTREAM_PORT" | wc -l
}

are_connecting() {
	(($(connecting) == $1))
}

#!/usr/bin/env bats
# The epoll server that day 5 is measured against keeps the same promises: the comparison is fair.

load helpers
load peers
load conformance

setup() {
	ECHO=(./bench/epoll-echo)
}

teardown() {
	end_servers
}

@test "epoll echo: streams, messages, late readers, half-closes" {
	STREAM_BYTES=10000000
	at_once echoes_streams echoes_messages echoes_to_late_readers half_closes
}

@test "epoll echo: 100 peers that do not read harm nobody, nor do those with windows of megabytes" {
	at_once "absent_peers_harm_nobody 100" absent_peers_with_large_windows
}

@test "epoll echo: resets, flashes and random peers" {
	at_once survives_resets survives_flashes survives_random_peers
}

@test "epoll echo: ends in order, resumes at the limit" {
	sends_what_it_received_of_more
	ends_under_load
	at_once ends_despite_absent_peers resumes_at_the_limit frees_the_port_at_once ends_at_once_on_the_second_signal \
		sends_what_it_received
}

@test "epoll echo: TCP_NODELAY" {
	does_not_delay --buffer-size 1024
}

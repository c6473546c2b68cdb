/*
 * Plays a recorded run of a ring. Each element of class "ring-player" becomes a player for the run in its
 * <script type="application/json">, or else for the one in window.ringRun:
 *
 *   { "program": "./day01/setup",
 *     "totals":  { "calls": 2, "sqes": 4, "cqes": 4, "warnings": 0 },   of the whole run
 *     "left_out": [ 0, 0 ],      events that are not in here, because they come before these and after
 *     "outside": [ [time, ring, line], ... ],                   what --check has to say of those times
 *     "ended": 60340000,                                                          time of the run's end
 *     "events":  [ [time, ring, kind, line, ...], ... ],
 *
 *     and, if somebody who knows the program has added them:
 *     "names":     { "fd 4": "the signals", "accept": [ "the client that waits", ... ] },
 *                                what a target is; or the targets that an operation opens, in their order
 *     "chapters":  [ [event, title, sentence], ... ],                  what to look at, event from 0, in order
 *     "functions": { "prepare_send": "echo.c.html#L120" } }            where a function's source can be read
 *
 * time is in nanoseconds since the program's start, ring counts from 1, line is the decoded line as
 * ringtrace prints it. What follows it depends on the kind:
 *
 *   "ring"    sq_entries, cq_entries    a ring has been opened
 *   "sqe"     request, operation, target, traits, function
 *                                       the program has prepared a request. request: its number, from
 *                                       1; target: "slot 3", "fd 4" or ""; traits: "m" for multishot;
 *                                       function: the one that prepared it, or nothing
 *   "call"    name, crosses             a call into liburing begins; crosses: 1 for a system call, 2 for
 *                                       one that registers something, which is not counted
 *   "take"    count                     the kernel takes so many SQEs, oldest first
 *   "cqe"     request, result, more, group, buffer, opened
 *                                       the kernel has posted a completion. request: 0 if unknown;
 *                                       more: 1 if the request goes on; group and buffer: of the
 *                                       buffer that it took, or -1; opened: a target that is open now
 *   "return"  name                      the call ends
 *   "reap"    count                     the program has given so many CQEs' places back
 *   "give"    group, first, count       buffers first to first + count - 1 are put into their ring
 *   "lend"    request, group, buffer    a request that is being prepared uses a buffer's memory
 *   "shut"    target                    close(2) of a descriptor that the ring has opened
 *   "warn"    request                   what --check has to say; request: 0 if it is about none
 *   "end"                               the ring is closed
 *   "note"                              anything else
 *   "begin"   state                     the first event, where others come before it: what was the case
 *
 * Nothing is remembered but the events: what the page shows after event number n is what the events 0
 * to n make of an empty state. That is why it can go back.
 */
"use strict";

{
	/* ---- The run: what is the case after each event ---- */

	const CHECKPOINT = 256; /* events between two states that are kept */

	const emptyState = () => ({
		rings: new Map(),
		flight: new Map(), /* by request: its cell on the stage, and the completions so far */
		groups: new Map(), /* by buffer group: owner of each buffer */
		shownRing: 1,
		calls: 0, sqes: 0, cqes: 0, warnings: 0,
	});

	/* What lies in a queue is the requests' numbers, from its head to its tail. */
	const queue = (size, head = 0, tail = 0, requests = []) => ({ size, head, tail, requests });

	/* What a page that begins in the midst of a run has to know. Of what lies unread in a completion queue, it
	 * is not known whose it is. */
	const beginAt = (state, begin) => {
		for (const [number, sqSize, cqSize, sqHead, sqTail, cqHead, cqTail] of begin.rings) {
			const requests = begin.requests.filter(([ring]) => ring === number).map(([, request]) => request);
			state.rings.set(number, {
				open: true, call: null, calls: 0,
				sq: queue(sqSize, sqHead, sqTail, requests.slice(sqHead - sqTail || Infinity)),
				cq: queue(cqSize, cqHead, cqTail, Array(cqTail - cqHead).fill(0)),
			});
		}
		for (const [ring, request, , , , , given] of begin.requests)
			if (!state.rings.get(ring)?.sq.requests.includes(request))
				state.flight.set(request, { cell: lowestFree(state.flight, ring), given, ring });
		for (const [number, buffer, holder] of begin.buffers)
			group(state, number).set(buffer, holder ? { holder } : {});
		for (const [, request, , , , , , lent] of begin.requests)
			for (const [number, buffer] of lent) lend(state, number, buffer, request);
		Object.assign(state, begin.counts);
	};

	const lend = (state, number, buffer, borrower) => {
		const owner = group(state, number).get(buffer) || {};
		group(state, number).set(buffer, { holder: owner.holder, borrower });
	};

	const lowestFree = (flight, ring) => {
		const used = new Set([...flight.values()].filter((entry) => entry.ring === ring).map((entry) => entry.cell));
		let cell = 0;
		while (used.has(cell)) cell++;
		return cell;
	};

	const group = (state, number) => {
		if (!state.groups.has(number)) state.groups.set(number, new Map());
		return state.groups.get(number);
	};

	/* A buffer that a completed request had borrowed is its connection's again. */
	const returnBorrowed = (state, request) => {
		for (const owners of state.groups.values())
			for (const [buffer, owner] of owners)
				if (owner.borrower === request) owners.set(buffer, { holder: owner.holder });
	};

	const step = {
		ring: (state, ring, [sqSize, cqSize], number) => state.rings.set(number, {
			open: true, call: null, calls: 0,
			sq: { ...queue(), ...ring?.sq, size: sqSize },
			cq: { ...queue(), ...ring?.cq, size: cqSize },
		}),
		sqe: (state, { sq }, [request]) => {
			sq.requests.push(request);
			sq.tail++;
			state.sqes++;
		},
		call: (state, ring, [name, crosses]) => {
			const counts = crosses === 1 ? 1 : 0;
			ring.call = { name, crosses };
			ring.calls += counts;
			state.calls += counts;
		},
		take: (state, { sq }, [count], number, run) => {
			for (const request of sq.requests.splice(0, count))
				if (!run.requests.get(request).isQuiet) state.flight.set(request, { cell: lowestFree(state.flight, number), given: 0, ring: number });
			sq.head += count;
		},
		cqe: (state, { cq }, [request, , more, groupNumber, buffer], number, run) => {
			const entry = state.flight.get(request);
			cq.requests.push(request);
			cq.tail++;
			state.cqes++;
			if (entry) entry.given++;
			if (buffer >= 0)
				group(state, groupNumber).set(buffer, { holder: run.target(request) || "program" });
			if (entry && !more) {
				state.flight.delete(request);
				returnBorrowed(state, request);
			}
		},
		return: (state, ring) => { ring.call = null; },
		reap: (state, { cq }, [count]) => {
			cq.requests.splice(0, count);
			cq.head += count;
		},
		give: (state, ring, [number, first, count]) => {
			for (let i = 0; i < count; i++) group(state, number).set(first + i, {});
		},
		lend: (state, ring, [request, number, buffer]) => lend(state, number, buffer, request),
		warn: (state) => { state.warnings++; },
		end: (state, ring, rest, number) => {
			if (ring) ring.open = false;
			for (const [request, entry] of state.flight)
				if (entry.ring === number) state.flight.delete(request);
		},
		begin: (state, ring, [begin]) => beginAt(state, begin),
	};

	class Run {
		constructor(data) {
			Object.assign(this, { names: {}, chapters: [], functions: {} }, data);
			this.requests = new Map();
			this.rings = new Set(this.events.flatMap(([, ring, kind, , begin]) =>
				kind === "begin" ? begin.rings.map(([number]) => number) : ring || []));
			this.warned = [];
			this.failed = new Set();
			this.crossings = [];
			this.spans = new Map(); /* by target: from when to when it was open */
			this.called = new Map(); /* by target: from when on it has which name */
			this.opened = new Map(); /* by operation: how many targets it has opened */
			this.life = new Map(); /* by buffer: the events that are about it */
			this.reaped = new Map(); /* by event: the requests whose completions the program has read */
			this.at = new Float64Array(this.events.length); /* the place of each on the time axis */
			this.checkpoints = [];
			this.most = { flight: 0, sq: 0, cq: 0 };
			if (this.rings.size > 1) this.nameRings();
			this.read();
		}

		/* Slots and buffer groups are a ring's own: of several rings, each says whose it is. */
		nameRings() {
			const place = { sqe: [6], cqe: [7, 9], give: [4], lend: [5] };
			const named = (ring, value) => /^slot/.test(value) ? `ring ${ring} ${value}`
				: typeof value === "number" && value >= 0 ? `${value} of ring ${ring}` : value;
			for (const event of this.events)
				for (const i of place[event[2]] ?? []) event[i] = named(event[1], event[i]);
		}

		target(request) {
			return this.requests.get(request)?.target;
		}

		/* One pass: requests with their events, places in time, and a state now and then. */
		read() {
			const state = emptyState();
			let telling = -1;
			this.events.forEach((event, i) => {
				this.note(event, i, state);
				this.at[i] = i === 0 ? 0 : this.at[i - 1] + this.distance(i);
				this.apply(state, i);
				const ring = state.rings.get(event[1]);
				for (const queue of ["sq", "cq"])
					this.most[queue] = Math.max(this.most[queue], ring?.[queue].requests.length ?? 0);
				this.most.flight = Math.max(this.most.flight, state.flight.size);
				const value = ring ? Math.min(8, state.flight.size) + 4 * Math.min(2, ring.cq.requests.length) : 0;
				if (value > telling) [telling, this.telling] = [value, i];
				if (i % CHECKPOINT === 0) this.checkpoints.push(structuredClone(state));
			});
			this.telling = this.chapters[0]?.[0] ?? this.telling ?? 0;
			this.usesBuffers = state.groups.size > 0;
			this.colour();
		}

		/* Each operation has its colour; in a small run of requests of one colour, each request has. */
		colour() {
			const all = [...this.requests.values()];
			const alike = all.length <= COLOURS.length && all.every(({ operation }) => family(operation) === "other");
			for (const request of all)
				request.colour = alike ? COLOURS[(request.number - 1) % COLOURS.length] : family(request.operation);
			this.isColouredSingly = alike;
		}

		/* What somebody calls a target, as it is at an event: "client 2". */
		nameOf(target, i) {
			return this.names[target] ?? this.called.get(target)?.findLast(([from]) => from <= i)?.[1];
		}

		nameOpened(target, operation, line, i) {
			const count = this.opened.get(operation) ?? 0;
			const name = this.names[operation]?.[count] ??
				(operation === "accept" ? `client ${count + 1}` : line.match(/'([^']+)'/)?.[1]);
			this.opened.set(operation, count + 1);
			this.called.set(target, [...this.called.get(target) ?? [], [i, name]]);
		}

		/* Of an event, what is asked for later. */
		note([, number, kind, line, ...rest], i, state) {
			if (kind === "sqe") {
				this.addRequest(number, rest, line, i);
			} else if (kind === "take") {
				for (const request of state.rings.get(number).sq.requests.slice(0, rest[0]))
					this.noteTaken(this.requests.get(request), i);
			} else if (kind === "cqe") {
				this.noteCompletion(this.requests.get(rest[0]), rest, i);
			} else if (kind === "reap") {
				this.reaped.set(i, state.rings.get(number).cq.requests.slice(0, rest[0]));
			} else if (kind === "give") {
				for (let k = 0; k < rest[2]; k++) this.noteBuffer(rest[0], rest[1] + k, i);
			} else if (kind === "lend") {
				this.noteBuffer(rest[1], rest[2], i);
			} else if (kind === "ring" && this.rings.size > 1) {
				this.called.set(line.match(/fd \d+/)?.[0], [[i, `ring ${number}`]]);
			} else if (kind === "shut") {
				this.shut(rest[0], i);
			} else if (kind === "warn") {
				this.warned.push(i);
			} else if (kind === "call" && rest[1]) {
				this.crossings.push(i);
			} else if (kind === "end") {
				for (const target of this.spans.keys()) this.shut(target, i);
			} else if (kind === "begin") {
				for (const [ring, request, operation, target, traits, begun] of rest[0].requests)
					this.addRequest(ring, [request, operation, target, traits], begun, i);
				for (const [, target] of rest[0].open) this.spans.set(target, [[i, this.events.length]]);
			}
		}

		addRequest(ring, [number, operation, target, traits, by], line, i) {
			const seconds = operation === "timeout" && line.match(/timeout +(\d+\.\d+) s/);
			this.requests.set(number, {
				number, operation, target, ring, line, by, isQuiet: / CQE_SKIP_SUCCESS/.test(line), multishot: traits.includes("m"),
				label: seconds ? `timeout ${duration(seconds[1] * 1e9).replace(/\.?0+ /, " ")}` : operation,
				begin: i, taken: this.events.length, end: this.events.length, cqes: [],
			});
			if (operation === "accept" && !this.called.has(target)) this.called.set(target, [[0, "the listening socket"]]);
		}

		/* One that completes only if it fails is over, as far as one can know, when it has been taken. */
		noteTaken(request, i) {
			request.taken = i;
			if (!request.isQuiet) return;
			request.end = i;
			if (request.operation === "close") this.shut(request.target, i);
		}

		noteCompletion(request, [, result, more, number, buffer, opened], i) {
			if (buffer >= 0) this.noteBuffer(number, buffer, i);
			if (opened) {
				this.shut(opened, i);
				this.spans.set(opened, [...this.spans.get(opened) ?? [], [i, this.events.length]]);
				this.nameOpened(opened, request.operation, request.line, i);
			}
			if (!request) return;
			request.cqes.push(i);
			if (!more) request.end = i;
			if (request.operation === "close" && result === 0) this.shut(request.target, i);
			if (result < 0 && !isExpiry(request, this.events[i][3])) this.failed.add(i);
		}

		noteBuffer(number, buffer, i) {
			const key = `${number}/${buffer}`;
			if (!this.life.has(key)) this.life.set(key, []);
			this.life.get(key).push(i);
		}

		shut(target, i) {
			const last = this.spans.get(target)?.at(-1);
			if (last && last[1] > i) last[1] = i;
		}

		/* The events of a call, from its beginning to its end. */
		callAt(i) {
			const begin = this.crossings.findLast((crossing) => crossing <= i) ?? i;
			const end = this.events.findIndex(([, ring, kind], k) =>
				k > begin && kind === "return" && ring === this.events[begin][1]);
			return { begin, end: end < 0 ? this.events.length - 1 : end };
		}

		/* Microseconds and seconds have to fit into one picture: ten times the time is a bit more. */
		distance(i) {
			const nanoseconds = Math.max(0, this.events[i][0] - this.events[i - 1][0]);
			return 1 + 0.45 * Math.log10(1 + nanoseconds / 5000);
		}

		apply(state, i) {
			const [, number, kind, , ...rest] = this.events[i];
			if (number) state.shownRing = number;
			step[kind]?.(state, state.rings.get(number), rest, number, this);
		}

		stateAfter(i) {
			const checkpoint = Math.floor(i / CHECKPOINT);
			const state = structuredClone(this.checkpoints[checkpoint]);
			for (let next = checkpoint * CHECKPOINT + 1; next <= i; next++) this.apply(state, next);
			return state;
		}

		/* The last event whose place is not after the given one. */
		indexAt(place) {
			return Math.max(0, this.at.findLastIndex((at) => at <= place));
		}

		requestOf(i) {
			const [, , kind, , first] = this.events[i];
			return ["sqe", "cqe", "warn", "lend"].includes(kind) ? this.requests.get(first) : undefined;
		}

		/* The function of the program that an event is about: the one that has prepared its request, or, if it's known
		 * that there is one for completions, that. */
		functionOf(i) {
			const [taken] = this.events[i][2] === "take" ? this.takenAt(i) : [];
			const request = this.requestOf(i) ?? taken;
			const on = `on_${request?.operation}`;
			return this.events[i][2] === "cqe" && request?.by && on in this.functions ? on : request?.by;
		}

		takenAt(i) {
			return [...this.requests.values()].filter(({ taken }) => taken === i);
		}
	}

	/* ---- Words ---- */

	const COLOURS = ["receive", "send", "accept", "close", "other"];
	const FAMILIES = [
		["accept", /^(accept|open|socket|connect|poll|listen|bind)/],
		["receive", /^(recv|read|epoll)/],
		["send", /^(send|write|splice|tee)/],
		["close", /^(close|shutdown|async_cancel|cancel|.*_remove)/],
	];
	/* For a timeout, -ETIME says that the time is over, and no more. */
	const isExpiry = (request, line) => request?.operation === "timeout" && /ETIME/.test(line);

	const family = (operation) => FAMILIES.find(([, pattern]) => pattern.test(operation))?.[0] ?? "other";

	const many = (count, one, more = one + "s") => `${count.toLocaleString("en")} ${count === 1 ? one : more}`;

	const duration = (nanoseconds) => {
		if (nanoseconds < 1e3) return `${Math.round(nanoseconds)} ns`;
		if (nanoseconds < 1e6) return `${(nanoseconds / 1e3).toFixed(nanoseconds < 1e4 ? 1 : 0)} µs`;
		if (nanoseconds < 1e9) return `${(nanoseconds / 1e6).toFixed(2)} ms`;
		return `${(nanoseconds / 1e9).toFixed(3)} s`;
	};

	/* What people call a request, and the word before its target. */
	const NOUNS = {
		accept: ["accept", "on"], recv: ["receive", "on"], recvmsg: ["receive", "on"], read: ["read", "of"],
		openat: ["open", "into"], openat2: ["open", "into"], nop: ["NOP", "on"], async_cancel: ["cancel", "of"],
		sendmsg: ["send", "to"], poll_add: ["poll", "of"],
		msg_ring: ["message", "to"], shutdown: ["shutdown", "of"], close: ["close", "of"],
		connect: ["connect", "of"], socket: ["socket", "of"],
	};

	const capital = (words) => words[0].toUpperCase() + words.slice(1);

	/* "slot 1 (the client that reads late)" */
	const who = (run, target, i) => {
		const name = run.nameOf(target, i);
		return name ? `${target} (${name})` : target;
	};

	/* How many bytes a request is to send or write. */
	const sentBytes = ({ operation, line }) => family(operation) === "send" ? Number(line.match(/ len (\d+)/)?.[1] ?? 0) : 0;

	/* "the send of 13 bytes to slot 1 (client 2)" */
	const what = (run, request, bytes = request && sentBytes(request)) => {
		if (!request) return "a request that isn't in this page";
		const { operation, target, label, line, begin } = request;
		const named = line.match(/'([^']+)'/)?.[1];
		const [noun, before] = NOUNS[operation] ?? [label.replace(/^(\w+) (.*)/, "$1 of $2"), "to"];
		return `the ${noun}${bytes ? ` of ${many(bytes, "byte")}` : ""}` +
			`${target ? ` ${before} ${who(run, target, begin)}` : named ? ` of ${named}` : ""}`;
	};

	const aNew = (words) => words.replace(/^the (?=[aeiou])/, "an ").replace(/^the /, "a ");

	/* "the NOP and the timeout of 20 ms"; of many, their number. */
	const list = (run, requests) => {
		if (requests.length > 4) return many(requests.length, "request");
		const words = requests.map((request) => what(run, request));
		return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
	};

	/* What a completion says, behind the name of its request. */
	const outcome = (run, request, [, result, , , buffer, opened], line, i) => {
		const { operation, target } = request;
		const picked = buffer >= 0 ? ` in buffer ${buffer}, which the kernel picked` : "";
		if (isExpiry(request, line)) return "is over: for a timeout, -ETIME says just that";
		if (/ENOBUFS/.test(line)) return "ends with -ENOBUFS, because the buffer ring was empty";
		if (/ECANCELED/.test(line)) return "was cancelled";
		if (result < 0) return `fails with ${line.match(/= (-\w+)/)?.[1] ?? result}`;
		if (opened && opened !== target) return `has opened ${who(run, opened, i)}`;
		if (operation.startsWith("recv") && result === 0) return "has met EOF: the other side sends no more";
		if (family(operation) === "receive") return `brings ${many(result, "byte")}${picked}`;
		const bytes = sentBytes(request);
		if (family(operation) === "send")
			return `took ${bytes > result ? `only ${result.toLocaleString("en")} of ` : ""}${many(Math.max(bytes, result), "byte")}`;
		return "is done";
	};

	const sentences = {
		ring: (run, [sq, cq]) => `A ring opens: ${sq} entries to submit, ${cq} for completions, in memory that ` +
			"program and kernel share.",
		sqe: (run, [number, operation], line) => `The program writes ${aNew(what(run, run.requests.get(number)))} ` +
			"into the submission queue. That's memory, not a system call." + (run.usesBuffers && operation === "recv" && !/ group \d/.test(line)
			? " It receives into memory of the program's own, so it needs no buffer of the ring." : ""),
		call: (run, [name, crosses], line, i, state) => {
			if (crosses === 2) return "A system call that registers something. It isn't in the count.";
			if (!crosses)
				return name.startsWith("submit") ? "No system call: a thread of the kernel watches the shared memory."
					: "No system call: what the program waits for is already in the shared memory.";
			const { end } = run.callAt(i);
			const taken = [...run.requests.values()].filter((request) => request.taken > i && request.taken <= end &&
				request.ring === run.events[i][1]);
			const why = [taken.length > 0 && `hands over ${list(run, taken)}`, /wait/.test(name) && "waits for a completion"];
			const sleeps = run.events[end][0] - run.events[i][0];
			return `System call ${state.calls}: the thread ${why.filter(Boolean).join(", then ") || "crosses into the kernel"}` +
				`${sleeps > SLEEP_NANOSECONDS ? `, and sleeps for ${duration(sleeps)}` : ""}.`;
		},
		take: (run, rest, line, i) => `The kernel takes ${list(run, run.takenAt(i))}.`,
		cqe: (run, rest, line, i) => {
			const [number, , more] = rest;
			const request = run.requests.get(number);
			const from = line.match(/msg_ring of (ring \d+)/)?.[1];
			if (!request)
				return from ? `A message from ${from}: a completion that no request of this ring has asked for.`
					: "A completion; what its request was isn't known.";
			const after = line.match(/after ([\d.]+) ms/)?.[1];
			return capital(`${what(run, request, 0)} ${outcome(run, request, rest, line, i)}` +
				`${after && !more ? `, ${duration(after * 1e6)} after the submit` : ""}.` +
				`${more ? " It goes on: there will be more." : request.multishot ? " That was its last completion." : ""}`);
		},
		return: (run, rest, line, i, state) => {
			const { begin } = run.callAt(i);
			const waiting = state.rings.get(run.events[i][1]).cq.requests.length;
			return `The thread is back in the program after ${duration(run.events[i][0] - run.events[begin][0])}` +
				`${waiting ? `, with ${many(waiting, "completion")} to read` : ""}.`;
		},
		reap: (run, [count], line, i) => {
			const [request, ...more] = run.reaped.get(i) ?? [];
			return `The program has read ${more.length ? many(count, "completion")
				: `the completion of ${what(run, run.requests.get(request))}`}, so ` +
				`${count === 1 ? "its place is" : "their places are"} free again. That's memory, not a system call.`;
		},
		give: (run, [, first, count]) => `The program puts ${count === 1 ? `buffer ${first}` : many(count, "buffer")} into ` +
			"the buffer ring, for the kernel to take.",
		lend: (run, [number, , buffer]) => capital(`${what(run, run.requests.get(number))} uses the memory of buffer ` +
			`${buffer}: until it has completed, nobody may touch it.`),
		shut: (run, [target], line, i) => `The program closes ${who(run, target, i)} with close(2), without the ring.`,
		warn: () => "A warning of --check.",
		end: () => "The ring is closed. What was in flight ends with it.",
		begin: (run) => run.left_out[0] + run.left_out[1] === 0 ? "The program has opened no ring."
			: run.events.length === 1 ? "Nothing happened in the time that the page is about."
				: "The page begins in the midst of a run. This is what was the case then.",
	};

	/* ---- Drawing ---- */

	const SVG = "http://www.w3.org/2000/svg";

	const put = (element, parent, attributes, text) => {
		for (const [key, value] of Object.entries(attributes))
			if (value !== undefined) element.setAttribute(key, value);
		if (text !== undefined) element.textContent = text;
		parent.append(element);
		return element;
	};

	const add = (parent, name, attributes = {}, text) =>
		put(document.createElementNS(SVG, name), parent, attributes, text);

	const html = (parent, name, attributes = {}, text) =>
		put(document.createElement(name), parent, attributes, text);

	const polar = (x, y, radius, turn) => {
		const angle = 2 * Math.PI * turn - Math.PI / 2;
		return [x + radius * Math.cos(angle), y + radius * Math.sin(angle)];
	};

	const segment = (x, y, inner, outer, from, to) => {
		const [a, b, c, d] = [[outer, from], [outer, to], [inner, to], [inner, from]].map(([radius, turn]) =>
			polar(x, y, radius, turn).map((value) => value.toFixed(1)).join(" "));
		return `M${a}A${outer} ${outer} 0 0 1 ${b}L${c}A${inner} ${inner} 0 0 0 ${d}Z`;
	};

	const SLEEP_NANOSECONDS = 1e6; /* a call that takes longer has slept */
	const MOST_PLACES = 32; /* of a larger ring so many are drawn, as if it went round sooner */

	const BAND = 22; /* between the circles of a queue */
	const MOST_SIDE_BY_SIDE = 4;
	const NARROW = 620;

	/* As many places of a queue are drawn as tell its story: a power of two with room for twice what lay in it. */
	const placesOf = (size, most) => {
		let places = 8;
		while (places < 2 * most && places < MOST_PLACES) places *= 2;
		return Math.min(places, size);
	};

	/* The upper picture: program, border, kernel, and the two rings across the border. Of the given ring, or of
	 * the one that the present event is about. */
	class Stage {
		constructor(svg, run, ring, onPick, onCall) {
			Object.assign(this, { svg, run, ring });
			this.still = add(svg, "g");
			this.moving = add(svg, "g");
			this.thread = add(svg, "g", { class: "thread" });
			this.threadShape = add(this.thread, "rect", { rx: 15, height: 30 });
			this.threadText = add(this.thread, "text", { y: 5 });
			this.flights = add(svg, "g", { "aria-hidden": "true" });
			svg.addEventListener("click", (event) => {
				const number = event.target.closest("[data-request]")?.dataset.request;
				onPick(number ? run.requests.get(Number(number)) : undefined);
			});
			this.thread.addEventListener("click", (event) => {
				event.stopPropagation();
				onCall();
			});
		}

		layout(width) {
			const narrow = width < NARROW;
			this.width = width;
			this.narrow = narrow;
			this.radius = narrow ? Math.min(56, width * 0.16) : 84;
			this.border = this.radius + (narrow ? 50 : 52);
			this.x = { sq: width * (narrow ? 0.23 : 0.25), thread: width / 2, cq: width * (narrow ? 0.77 : 0.75) };
			this.columns = narrow ? 2 : Math.max(3, Math.min(6, Math.floor(width / 170)));
			this.rows = Math.max(1, Math.min(narrow ? 3 : 4, Math.ceil(this.run.most.flight / this.columns)));
			this.cellsTop = this.border + this.radius + (narrow ? 64 : 80);
			this.cellWidth = (width - 32 + 10) / this.columns;
			this.height = this.cellsTop + this.rows * 42 + 20;
			this.svg.setAttribute("viewBox", `0 0 ${width} ${this.height}`);
			this.svg.setAttribute("height", this.height);
		}

		cell(number) {
			return [16 + (number % this.columns) * this.cellWidth,
				this.cellsTop + Math.floor(number / this.columns) * 42];
		}

		/* Where an entry of a queue is drawn. */
		place(queue, { size }, index) {
			const places = placesOf(size, this.run.most[queue]);
			return polar(this.x[queue], this.border, this.radius - BAND / 2, ((index % places) + 0.5) / places);
		}

		draw(state, picked) {
			const ring = state.rings.get(this.ring ?? state.shownRing);
			const flight = [...state.flight].filter(([, entry]) => entry.ring === (this.ring ?? state.shownRing));
			this.still.replaceChildren();
			this.moving.replaceChildren();
			this.drawBands(state);
			if (ring) {
				this.drawQueue("sq", "submission queue", ring, picked);
				this.drawQueue("cq", "completion queue", ring, picked);
			}
			this.drawFlight(flight, picked);
			this.drawThread(ring);
			this.svg.setAttribute("aria-label", this.describe(state, ring, flight.length));
		}

		describe(state, ring, inFlight) {
			const where = ring?.call?.crosses ? `The thread is in the kernel: ${ring.call.name}.`
				: "The thread is in the program.";
			return ring ? `Ring ${this.ring ?? state.shownRing}: ${ring.sq.requests.length} of ${ring.sq.size} places of the ` +
				`submission queue and ${ring.cq.requests.length} of ${ring.cq.size} places of the completion queue ` +
				`are taken, ${many(inFlight, "request")} in flight. ${where}` : `No ring yet. ${where}`;
		}

		drawBands(state) {
			const { still, width, border, height, run, ring } = this;
			const x = this.narrow ? 4 : 16;
			add(still, "rect", { class: "kernel", y: border, width, height: height - border });
			add(still, "line", { class: "border", x2: width, y1: border, y2: border });
			add(still, "text", { class: "side", x, y: 22 }, "Program");
			add(still, "text", { class: "side", x, y: height - 9 }, "Kernel");
			if (run.rings.size > 1)
				add(still, "text", { class: ring === state.shownRing ? "side active" : "side", x: width - 16, y: 22,
					"text-anchor": "end" }, ring ? `ring ${ring}` : `ring ${state.shownRing} of ${state.rings.size}`);
		}

		drawQueue(kind, name, { open, [kind]: { requests, head, tail, size } }, picked) {
			const { still, radius, border, narrow, x: { [kind]: x } } = this;
			const places = placesOf(size, this.run.most[kind]);
			const group = add(still, "g", { class: open ? "queue" : "queue closed" });
			const gap = 0.06 / places;
			const arc = (place) => segment(x, border, radius - BAND, radius, place / places + gap, (place + 1) / places - gap);

			for (let i = 0; i < places; i++) add(group, "path", { class: "place", d: arc(i) });
			requests.slice(-places).forEach((number, i, shown) => {
				const place = (head + requests.length - shown.length + i) % places;
				const request = this.run.requests.get(number);
				const operation = request?.operation ?? "?";
				add(group, "path", { class: `entry ${request?.colour ?? "other"}`, "data-request": number,
					"data-picked": picked?.number === number ? "" : undefined, d: arc(place) });
				if (places > 16) return;
				const [letterX, letterY] = polar(x, border, radius - BAND / 2, (place + 0.5) / places);
				add(group, "text", { class: "letter", x: letterX, y: letterY + 4 }, operation[0].toUpperCase());
			});
			this.drawPointer(group, x, head / places, "head", radius - BAND - 4, -1);
			this.drawPointer(group, x, tail / places, "tail", radius + 4, 1);
			add(group, "text", { class: "count", x, y: border + 8 }, requests.length);
			add(group, "text", { class: "name", x, y: border + radius + (narrow ? 36 : 46) }, name);
			add(group, "text", { class: "small", x, y: border + radius + (narrow ? 51 : 62), "text-anchor": "middle" },
				(size > places ? `${places} of ${size} places` : `${size} places`) +
				(narrow ? "" : `, head ${head}, tail ${tail}`));
		}

		/* A triangle at the place where the next entry is taken (head, inside) or put (tail, outside). */
		drawPointer(group, x, turn, name, radius, outward) {
			const { border } = this;
			const tip = polar(x, border, radius, turn);
			const base = radius + 10 * outward;
			const half = 6 / (2 * Math.PI * base);
			const left = polar(x, border, base, turn - half);
			const right = polar(x, border, base, turn + half);
			add(group, "path", { class: `pointer ${name}`, d: `M${tip}L${left}L${right}Z` });
			if (this.narrow) return;
			const aside = Math.abs(Math.sin(2 * Math.PI * turn));
			const label = polar(x, border, radius + (19 + 8 * aside) * outward, turn);
			add(group, "text", { class: "small", x: label[0], y: label[1] + 4, "text-anchor": "middle" }, name);
		}

		drawFlight(flight, picked) {
			const shown = flight.filter(([, { cell }]) => cell < this.rows * this.columns);
			const hidden = flight.length - shown.length;
			const { moving } = this;

			for (const [number, { cell, given }] of shown)
				this.drawChip(this.cell(cell), this.run.requests.get(number), given, picked);
			if (hidden > 0)
				add(moving, "text", { class: "small", x: this.width - 16, y: this.height - 9, "text-anchor": "end" },
					`and ${hidden} more in flight`);
			else if (flight.length === 0)
				add(moving, "text", { class: "small", x: this.width / 2, y: this.cellsTop + 22, "text-anchor": "middle" },
					"no request in flight");
		}

		drawChip([x, y], request, given, picked) {
			const width = this.cellWidth - 10;
			const chip = add(this.moving, "g", { class: `chip ${request.colour}`,
				transform: `translate(${x} ${y})`, "data-request": request.number,
				"data-picked": picked === request ? "" : undefined });

			/* One that goes on giving is a stack. */
			if (request.multishot)
				add(chip, "rect", { class: "behind", x: 6, y: -5, width: width - 12, height: 34, rx: 7 });
			add(chip, "rect", { class: "card", width, height: 34, rx: 7 });
			add(chip, "rect", { class: "mark", x: 6, y: 7, width: 5, height: 20, rx: 2.5 });
			add(chip, "title", {}, capital(what(this.run, request)));
			const name = add(chip, "text", { class: "operation", x: 18, y: 22 }, request.label);
			const room = (width - (request.multishot ? 52 : 24)) / 7.4 - request.label.length;
			const target = request.target.replace(/^ring \d+ /, "");
			add(name, "tspan", { class: "target", dx: 6 }, target.length > room ? target.replace(/^\w+ /, "") : target);
			if (request.multishot)
				add(chip, "text", { class: "given", x: width - 8, y: 22 }, `×${given}`);
		}

		drawThread(ring) {
			const { narrow, border, radius, x: { thread: x } } = this;
			const inside = Boolean(ring?.call?.crosses);
			const words = ring?.call?.name ?? "program runs";
			const label = narrow && words.length > 15
				? words.replace("submit_and_wait", "submit+wait").replace(/^(.{14}).{2,}$/, "$1…") : words;
			const width = Math.max(70, label.length * (narrow ? 6.4 : 7.4) + 24);
			const [above, below] = narrow ? [radius + 30, radius + 8] : [72, 50];
			const y = inside ? border + below : border - above;

			add(this.still, "line", { class: inside ? "crossing now" : "crossing", x1: x, x2: x,
				y1: border - above + 16, y2: border + below });
			add(this.still, "text", { class: "count", x, y: border - 10 },
				ring?.calls ?? 0).setAttribute("data-name", "calls");
			add(this.still, "text", { class: "small on-kernel", x, y: border + 18, "text-anchor": "middle" },
				narrow ? "calls" : "system calls");
			this.thread.classList.toggle("inside", inside);
			this.thread.style.transform = `translate(${x}px, ${y}px)`;
			this.threadShape.setAttribute("x", -width / 2);
			this.threadShape.setAttribute("y", -15);
			this.threadShape.setAttribute("width", width);
			this.threadText.textContent = label;
		}

		/* What moves with this event: from where, to where. Called before the event is applied. */
		movements(state, [, number, kind, , ...rest]) {
			const ring = state.rings.get(number);
			if (!ring || (this.ring && this.ring !== number)) return [];
			const above = (queue) => [this.x[queue], this.border - this.radius - 40];
			if (kind === "sqe")
				return [[above("sq"), this.place("sq", ring.sq, ring.sq.tail), rest[0]]];
			if (kind === "take")
				return ring.sq.requests.slice(0, Math.min(rest[0], MOST_PLACES)).map((request, i) =>
					[this.place("sq", ring.sq, ring.sq.head + i), [this.x.sq, this.cellsTop + 12], request]);
			if (kind === "cqe") {
				const [x, y] = this.cell(Math.min(state.flight.get(rest[0])?.cell ?? 0, this.rows * this.columns - 1));
				const from = rest[0] ? [x + 40, y + 17] : [number > 1 ? 0 : this.width, this.cellsTop + 17];
				return [[from, this.place("cq", ring.cq, ring.cq.tail), rest[0]]];
			}
			if (kind === "reap")
				return ring.cq.requests.slice(0, Math.min(rest[0], MOST_PLACES)).map((request, i) =>
					[this.place("cq", ring.cq, ring.cq.head + i), above("cq"), request]);
			return [];
		}

		fly(movements, milliseconds) {
			for (const [[fromX, fromY], [toX, toY], number] of movements) {
				const request = this.run.requests.get(number);
				const dot = add(this.flights, "circle", { r: 7, class: `dot ${request?.colour ?? "other"}` });
				dot.animate([
					{ transform: `translate(${fromX}px, ${fromY}px)`, opacity: 1 },
					{ transform: `translate(${toX}px, ${toY}px)`, opacity: 1, offset: 0.85 },
					{ transform: `translate(${toX}px, ${toY}px)`, opacity: 0 },
				], { duration: milliseconds, easing: "ease-in-out" }).onfinish = () => dot.remove();
			}
		}
	}

	/* The picture of time: a row for the thread, and one for each slot or descriptor. */
	class Lanes {
		static ROW = 18;
		static UNIT = 26; /* pixels for a distance of 1 */
		static MOST_A_TARGET = 8;
		static MOST_ROWS = 18;

		constructor(svg, run, onPick, onSeek, onCall) {
			Object.assign(this, { svg, run });
			this.byTarget = this.arrange();
			svg.addEventListener("click", (event) => {
				const number = event.target.closest("[data-request]")?.dataset.request;
				const index = event.target.closest("[data-event]")?.dataset.event;
				if (index) onSeek(Number(index));
				if (index && run.events[index][2] === "call") onCall();
				if (number) onPick(run.requests.get(Number(number)));
				if (index || number) return;
				const box = svg.getBoundingClientRect();
				onSeek(run.indexAt(this.placeAt(event.clientX - box.left)));
			});
		}

		/* Requests of a target that overlap lie in rows below each other. */
		arrange() {
			const lanes = new Map();
			for (const request of this.run.requests.values()) {
				const name = request.target || request.operation;
				if (!lanes.has(name)) lanes.set(name, { name, ends: [], requests: [] });
				const lane = lanes.get(name);
				let row = lane.ends.findIndex((end) => end < request.begin);
				if (row < 0) row = Math.min(lane.ends.length, Lanes.MOST_A_TARGET - 1);
				request.crowded = lane.ends[row] >= request.begin;
				lane.ends[row] = Math.max(lane.ends[row] ?? 0, request.end);
				request.row = row;
				lane.requests.push(request);
			}
			for (const name of this.run.spans.keys())
				if (!lanes.has(name)) lanes.set(name, { name, ends: [0], requests: [] });
			const number = (name) => Number(name.match(/\d+$/)?.[0] ?? -1);
			return [...lanes.values()].sort((a, b) =>
				a.name.replace(/\d+$/, "").localeCompare(b.name.replace(/\d+$/, "")) || number(a.name) - number(b.name));
		}

		layout(width) {
			const narrow = width < NARROW;
			this.width = width;
			const longest = Math.max(...this.byTarget.map((lane) => lane.name.length), narrow ? 6 : 13);
			this.left = Math.min(narrow ? 110 : 140, longest * 6.6 + 18);
			this.playhead = this.left + (width - this.left) * (narrow ? 0.55 : 0.6);
			const rows = this.byTarget.reduce((sum, lane) => sum + lane.ends.length, 0);
			this.threads = this.run.rings.size <= MOST_SIDE_BY_SIDE ? [...this.run.rings] : [undefined];
			this.rows = Math.min(Lanes.MOST_ROWS, rows) + this.threads.length;
			this.height = 26 + this.rows * Lanes.ROW + 30;
			this.svg.setAttribute("viewBox", `0 0 ${width} ${this.height}`);
			this.svg.setAttribute("height", this.height);
		}

		placeAt(x) {
			return this.center + (x - this.playhead) / Lanes.UNIT;
		}

		x(i) {
			return this.playhead + (this.run.at[Math.min(i, this.run.at.length - 1)] - this.center) * Lanes.UNIT;
		}

		draw(current, picked) {
			const { svg, run, width, left, height } = this;
			this.center = run.at[current];
			const from = run.indexAt(this.placeAt(left - 60));
			const to = run.indexAt(this.placeAt(width + 60));

			svg.replaceChildren();
			const clip = add(add(svg, "clipPath", { id: this.svg.id + "-clip" }), "rect", { x: left, width: width - left, height });
			const field = add(svg, "g", { "clip-path": `url(#${clip.parentNode.id})` });
			this.drawTimes(field, from, to);
			this.threads.forEach((ring, row) => this.drawThread(field, from, to, ring, 25 + row * Lanes.ROW));
			let y = 26 + this.threads.length * Lanes.ROW;
			let hidden = 0;
			for (const lane of this.byTarget) {
				const visible = lane.requests.filter((request) => request.begin <= to && request.end >= from);
				const spans = (this.run.spans.get(lane.name) ?? []).filter(([begin, end]) => begin <= to && end >= from);
				if (visible.length === 0 && spans.length === 0 && this.byTarget.length > 8) continue;
				const rows = Math.max(1, ...visible.map((request) => request.row + 1));
				if (y + rows * Lanes.ROW > height - 22) {
					hidden++;
					continue;
				}
				const label = add(svg, "text", { class: "lane", x: left - 8, y: y + 13 }, lane.name);
				add(label, "title", {}, who(run, lane.name, current));
				add(field, "line", { class: "rule", x1: left, x2: width, y1: y - 0.5, y2: y - 0.5 });
				for (const [begin, end] of spans) this.drawOpen(field, lane.name, begin, end, y, rows * Lanes.ROW);
				for (const request of visible) this.drawSpan(field, request, y + request.row * Lanes.ROW, picked);
				y += rows * Lanes.ROW;
			}
			if (hidden > 0)
				add(svg, "text", { class: "small", x: left - 8, y: height - 8, "text-anchor": "end" }, `+ ${hidden} more`);
			this.drawWarnings(field, from, to);
			add(field, "rect", { class: "future", x: this.playhead + 1, y: 20, width: width - this.playhead, height: height - 20 });
			add(field, "line", { class: "playhead", x1: this.playhead, x2: this.playhead, y1: 4, y2: height - 18 });
		}

		/* Where times would read the same, what has passed since the one before is said. */
		drawTimes(field, from, to) {
			let last = -Infinity;
			let words;
			let before;
			for (let i = from; i <= to; i++) {
				if (this.x(i) - last < 84) continue;
				last = this.x(i);
				const [time] = this.run.events[i];
				const same = duration(time) === words;
				add(field, "line", { class: "tick", x1: last, x2: last, y1: 20, y2: this.height - 18 });
				add(field, "text", { class: "small", x: last, y: this.height - 5, "text-anchor": "middle" },
					!same ? duration(time) : time > before ? `+${duration(time - before)}` : "");
				words = duration(time);
				before = time;
			}
		}

		/* A slot or descriptor is open from the completion that says so to the one of its close. */
		drawOpen(field, name, begin, end, y, height) {
			const band = add(field, "rect", { class: "open", x: this.x(begin), y: y + 0.5, height: height - 1,
				width: Math.max(3, this.x(end) - this.x(begin)) });
			add(band, "title", {}, `${who(this.run, name, begin)} is open`);
		}

		/* When the thread is in the kernel for a ring. */
		drawThread(field, from, to, ring, y) {
			const { run, svg, left, width: whole } = this;
			const isOurs = (i) => ring === undefined || run.events[i][1] === ring;
			add(svg, "text", { class: "lane", x: left - 8, y: y + 11 },
				this.threads.length > 1 ? `ring ${ring}` : whole < NARROW ? "kernel" : "in the kernel");
			for (let i = from; i <= to; i++) {
				const [, , kind, , , crosses] = run.events[i];
				if (kind === "call" && !crosses && isOurs(i))
					add(field, "line", { class: "tick", x1: this.x(i), x2: this.x(i), y1: y - 1, y2: y + 15 });
			}
			const calls = run.crossings.filter(isOurs);
			for (const [call, begin] of calls.entries()) {
				/* A call may have begun long before what is shown. */
				if ((calls[call + 1] ?? run.events.length) <= from) continue;
				if (begin > to) break;
				const { end } = run.callAt(begin);
				const width = Math.max(4, this.x(end) - this.x(begin));
				const took = run.events[end][0] - run.events[begin][0];
				const sleeps = took > SLEEP_NANOSECONDS;
				const shape = add(field, "rect", { class: sleeps ? "call sleeps" : "call", "data-event": begin,
					x: this.x(begin), y, width, height: 14, rx: 3 });
				add(shape, "title", {}, `${run.events[begin][3]}: ${duration(took)}`);
				const seen = [Math.max(left, this.x(begin)), Math.min(whole, this.x(begin) + width)];
				if (sleeps && seen[1] - seen[0] > 62)
					add(field, "text", { class: "inside slept", x: (seen[0] + seen[1]) / 2, y: y + 11 }, duration(took));
			}
		}

		drawSpan(field, request, y, picked) {
			const begin = this.x(request.begin);
			const end = this.x(request.end);
			const group = add(field, "g", { class: `span ${request.colour}`, "data-request": request.number,
				"data-picked": picked === request ? "" : undefined });
			add(group, "title", {}, request.line);
			add(group, "rect", { class: request.multishot ? "bar multishot" : "bar", x: begin, y: y + 2,
				width: Math.max(6, end - begin), height: 13, rx: 3 });
			/* Until the kernel has taken it, it only lies in the queue. */
			const taken = this.x(Math.min(request.taken, request.end));
			if (taken > begin + 1 && !request.multishot)
				add(group, "rect", { class: "queued", x: begin + 1, y: y + 3, width: taken - begin - 1, height: 11, rx: 2 });
			const dots = request.cqes.filter((i) => this.x(i) > this.left - 9);
			const room = request.label.length * 6.4 + 14;
			/* The first place that no dot is in. */
			const from = [Math.max(taken, this.left), ...dots.map((i) => this.x(i) + 5)]
				.find((x, k) => (dots[k] === undefined ? end : this.x(dots[k]) - 5) - x > room);
			if (!request.crowded && from !== undefined)
				add(group, "text", { class: "inside", x: from + 5, y: y + 12.5 }, request.label);
			for (const i of dots)
				add(group, "circle", { class: this.run.failed.has(i) ? "answer failed" : "answer",
					"data-event": i, cx: this.x(i), cy: y + 8.5, r: 4 });
		}

		drawWarnings(field, from, to) {
			for (const i of this.run.warned) {
				if (i < from || i > to) continue;
				const x = this.x(i);
				const mark = add(field, "path", { class: "warning", "data-event": i, d: `M${x} 4l8 15h-16z` });
				add(mark, "title", {}, this.run.events[i][3]);
			}
		}
	}

	/* The buffers of the buffer rings, each with its owner of the moment: a few of them with words. */
	const MOST_WITH_WORDS = 16;

	const drawBuffers = (parent, run, state, width, picked) => {
		parent.replaceChildren();
		for (const [number, owners] of [...state.groups].sort(([a], [b]) => String(a).localeCompare(b))) {
			const kinds = { ring: 0, held: 0, sent: 0 };
			const kindOf = (owner) => owner.borrower ? "sent" : owner.holder ? "held" : "ring";
			const whose = (owner) => owner.borrower
				? `in a ${run.requests.get(owner.borrower)?.operation ?? "request"}${owner.holder ? " to " + owner.holder : ""}`
				: owner.holder ? `with ${owner.holder}` : "in the ring";
			for (const owner of owners.values()) kinds[kindOf(owner)]++;
			const words = html(parent, "p", { class: kinds.ring === 0 ? "short" : undefined });
			html(words, "strong", {}, `Buffer group ${number}: `);
			for (const [kind, label] of [["ring", "in the ring"], ["held", "with a connection"], ["sent", "in a request"]]) {
				html(words, "span", { class: `key ${kind}` });
				words.append(` ${kinds[kind]} ${label}${kind === "sent" ? "." : ","} `);
			}
			if (kinds.ring === 0) words.append("The ring is empty.");

			const large = owners.size <= MOST_WITH_WORDS;
			const size = large ? 30 : 15;
			const columns = large ? Math.max(1, Math.min(owners.size, Math.floor(width / 150))) : Math.floor(width / size);
			const across = large ? Math.min(190, width / columns) : size;
			const shown = [...owners].sort(([a], [b]) => a - b).slice(0, columns * 8);
			const svg = add(parent, "svg", { width, height: Math.ceil(shown.length / columns) * size, role: "img",
				"aria-label": `${kinds.ring} buffers in the ring, ${kinds.held} with connections, ${kinds.sent} in requests` });
			shown.forEach(([buffer, owner], i) => {
				const x = (i % columns) * across;
				const y = Math.floor(i / columns) * size;
				const key = `${number}/${buffer}`;
				const square = add(svg, "g", { class: `buffer ${kindOf(owner)}`, "data-buffer": key,
					"data-picked": picked === key ? "" : undefined });
				add(square, "rect", { x: x + 1.5, y: y + 1.5, width: across - (large ? 8 : 3), height: size - 3, rx: large ? 5 : 2 });
				if (large)
					add(square, "text", { x: x + 10, y: y + 20 }, `${buffer} ${whose(owner)}`);
				else if (owner.borrower)
					add(square, "path", { d: `M${x + 4} ${y + size - 4}l${size - 8} ${8 - size}` });
				add(square, "title", {}, `buffer ${buffer}: ${whose(owner)}`);
			});
		}
	};

	/* ---- The player ---- */

	const SPEEDS = [1 / 16, 1 / 4, 1 / 2, 1, 2, 4, 16];
	const SPEED_NAMES = ["1/16", "1/4", "1/2", 1, 2, 4, 16];
	const RUN_MILLISECONDS = 30000; /* that a run lasts at speed 1, */
	const CHAPTER_MILLISECONDS = 3500; /* with so much for each sentence that a chapter brings, */
	const MOST_STEP_MILLISECONDS = 1200; /* and this at most for a distance of 1 */
	const LEAST_FLIGHT_MILLISECONDS = 60;
	const calm = matchMedia("(prefers-reduced-motion: reduce)");
	let players = 0;

	class Player {
		constructor(root) {
			this.root = root;
			this.run = new Run(JSON.parse(root.querySelector("script")?.textContent ?? "null") ?? window.ringRun);
			this.id = `ring-player-${++players}`;
			this.current = this.run.telling;
			this.speed = 1;
			this.setPace();
			this.choice = undefined;
			this.playing = false;
			this.build();
			new ResizeObserver(() => this.resize()).observe(this.root);
			this.resize();
			this.followAddress();
		}

		/* How long a distance of 1 lasts, and a chapter's sentence. */
		setPace() {
			const { at, chapters } = this.run;
			this.reading = Math.min(CHAPTER_MILLISECONDS, RUN_MILLISECONDS * 0.6 / chapters.length);
			const rest = RUN_MILLISECONDS - chapters.length * this.reading;
			this.step = Math.min(MOST_STEP_MILLISECONDS, rest / Math.max(1, at.at(-1)));
		}

		build() {
			const { root, run } = this;
			root.querySelector("noscript, .waiting")?.remove();
			root.setAttribute("role", "group");
			root.tabIndex = -1; /* so that a click in the picture leads the keys here */
			root.setAttribute("aria-label", `Recorded run of ${run.program}`);
			this.buildHead();
			this.buildExtent();
			this.buildStages();
			const deck = html(root, "div", { class: "deck" });
			this.says = html(deck, "div", { class: "says" });
			this.buildControls(deck);
			this.chosen = html(root, "div");
			this.buffers = html(root, "div", { class: "buffers" });
			this.buffers.addEventListener("click", (event) =>
				this.pickBuffer(event.target.closest("[data-buffer]")?.dataset.buffer));
			const lanes = add(root, "svg", { class: "lanes", id: `${this.id}-lanes`, role: "img",
				"aria-label": "Requests in time, a row for each slot or descriptor" });
			this.lanes = new Lanes(lanes, run, (request) => this.pick(request), (index) => this.seek(index), () => this.pickCall());
			this.buildFoot();
			document.addEventListener("keydown", (event) => this.onKey(event));
		}

		/* A ring a stage where there is room, or else one for the ring of the moment. */
		buildStages() {
			const box = html(this.root, "div", { class: "stages" });
			const rings = [...this.run.rings].sort();
			const apart = rings.length > 1 && rings.length <= MOST_SIDE_BY_SIDE;
			this.stages = (apart ? [undefined, ...rings] : [undefined]).map((ring) =>
				new Stage(add(box, "svg", { class: "stage", role: "img" }), this.run, ring,
					(request) => this.pick(request), () => this.pickCall()));
			this.start = html(box, "button", { type: "button", class: "start" });
			html(this.start, "span", { "aria-hidden": "true" }, "▶");
			this.start.append(" Play this run");
			this.start.addEventListener("click", () => {
				this.toggle();
				this.playButton.focus({ preventScroll: true });
			});
		}

		buildHead() {
			const head = html(this.root, "div", { class: "head" });
			html(head, "code", {}, this.run.program);
			this.counts = {};
			const list = html(head, "dl");
			for (const [name, label] of [["sqes", "SQEs"], ["calls", "calls"], ["cqes", "CQEs"],
				["flight", "in flight"], ["time", "time"]]) {
				const pair = html(list, "div");
				html(pair, "dt", {}, label);
				this.counts[name] = html(pair, "dd", { "data-count": name });
			}
		}

		buildControls(deck) {
			const bar = html(deck, "div", { class: "controls" });
			const button = (label, sign, key, action) => {
				const element = html(bar, "button", { type: "button", "aria-label": label, title: label, "data-key": key }, sign);
				element.addEventListener("click", action);
				return element;
			};
			const chapters = this.run.chapters.length > 0;
			button(chapters ? "To the previous chapter" : "To the beginning", "|◂", "p", () => this.seekChapter(-1));
			button("To the previous system call", "◂◂", "C", () => this.seekCall(-1));
			button("A step back", "◂", "←", () => this.seek(this.current - 1));
			this.playButton = button("Play", "▶", "space", () => this.toggle());
			this.playButton.className = "play";
			button("A step forward", "▸", "→", () => this.stepForward());
			button("To the next system call", "▸▸", "c", () => this.seekCall(1));
			button(chapters ? "To the next chapter" : "To the end", "▸|", "n", () => this.seekChapter(1));
			const track = html(bar, "span", { class: "track" });
			this.slider = html(track, "input", { type: "range", min: 0, max: this.run.events.length - 1, value: 0,
				"aria-label": "Event" });
			this.buildMarks(track);
			this.slider.addEventListener("input", () => this.seek(Number(this.slider.value)));
			this.speedSelect = html(bar, "select", { "aria-label": "Speed", title: "Speed (+ and −)" });
			SPEEDS.forEach((speed, i) => html(this.speedSelect, "option",
				{ value: speed, selected: speed === 1 ? "" : undefined }, `${SPEED_NAMES[i]}×`));
			this.speedSelect.addEventListener("change", () => { this.speed = Number(this.speedSelect.value); });
			this.linkButton = button("Copy a link to this moment", "link", "l", () => this.copyLink());
		}

		/* The page's address with "#e=12" is that of event 12, counted from 1. */
		copyLink() {
			history.replaceState(null, "", `#e=${this.current + 1}`);
			const says = (word) => {
				this.linkButton.textContent = word;
				setTimeout(() => { this.linkButton.textContent = "link"; }, 1500);
			};
			(navigator.clipboard?.writeText(location.href) ?? Promise.reject()).then(() => says("copied"), () => says("↑ in the address"));
		}

		followAddress() {
			const follow = (hash) => {
				const index = hash.match(/^#e=(\d+)$/)?.[1] - 1;
				if (!(index >= 0)) return;
				this.pause();
				this.seek(index);
				this.root.scrollIntoView({ block: "start" });
			};
			addEventListener("hashchange", () => follow(location.hash));
			document.addEventListener("click", (event) => {
				const hash = event.target.closest("a")?.getAttribute("href");
				if (hash?.startsWith("#e=")) follow(hash);
			});
			follow(location.hash);
		}

		/* The colours of this run. */
		buildLegend() {
			const named = new Map();
			for (const { colour, operation, label } of this.run.requests.values())
				named.set(colour, (named.get(colour) ?? new Set()).add(this.run.isColouredSingly ? label : operation));
			const legend = html(this.root, "p", { class: "legend" });
			for (const [name, some] of named) {
				const entry = html(legend, "span");
				html(entry, "span", { class: `colour ${name}` });
				entry.append(` ${[...some].slice(0, 5).join(", ")}${some.size > 5 ? ", …" : ""}`);
			}
			html(legend, "span", {}, "● completion, ○ with an error");
		}

		/* Where on the slider something has gone wrong. */
		buildMarks(track) {
			const last = Math.max(1, this.run.events.length - 1);
			const places = new Set([...this.run.failed, ...this.run.warned].map((i) => Math.round(i / last * 300)));
			const marks = html(track, "span", { class: "marks" });
			for (const place of places) html(marks, "i", { style: `left: ${place / 3}%` });
			for (const [i] of this.run.chapters) html(marks, "b", { style: `left: ${i / last * 100}%` });
			if (places.size > 0) this.slider.title = "Red: errors and warnings";
		}

		buildExtent() {
			const { run, root } = this;
			const [before, after] = run.left_out;
			if (before + after === 0) return;
			const all = run.events.length + before + after;
			html(root, "p", { class: "note extent" }, `This page has ${run.events.length.toLocaleString("en")} of the ` +
				`run's ${all.toLocaleString("en")} events, from ${duration(run.events[0][0])} to ` +
				`${duration(run.events.at(-1)[0])} of ${duration(run.ended)}. The whole run: ` +
				`${many(run.totals.sqes, "SQE")}, ${many(run.totals.calls, "system call")}, ` +
				`${many(run.totals.cqes, "CQE")}. Another part: ringtrace -r LOG --html FILE --from SECONDS.`);
		}

		/* All warnings, with their times; those that the page shows lead there. */
		buildWarnings() {
			const { run, root } = this;
			const all = [...run.warned.map((i) => [...run.events[i].slice(0, 4), i]),
				...run.outside.map(([time, ring, line]) => [time, ring, "warn", line])].sort(([a], [b]) => a - b);
			if (all.length === 0) return;
			const box = html(root, "div", { class: "warnings" });
			html(box, "p", {}, `⚠ ${many(run.totals.warnings, "warning")} of --check`);
			const list = html(box, "ul");
			for (const [time, ring, , line, i] of all.slice(0, 200)) {
				const words = `${(time / 1e9).toFixed(6)}  ring ${ring}  ${line}`;
				if (i === undefined) {
					html(list, "li", { class: "elsewhere" }, `${words}  (not at a time that this page shows)`);
					continue;
				}
				const link = html(html(list, "li"), "button", { type: "button" }, words);
				link.addEventListener("click", () => this.seek(i));
			}
			const more = run.totals.warnings - Math.min(200, all.length);
			if (more > 0) html(list, "li", { class: "elsewhere" }, `and ${more.toLocaleString("en")} more`);
		}

		buildFoot() {
			const { root } = this;
			this.buildLegend();
			this.buildWarnings();
			const keys = html(root, "details");
			html(keys, "summary", {}, "How to read this");
			const list = html(keys, "ul");
			for (const text of [
				"A circle is a queue in memory that program and kernel share. An entry goes in at the tail and out at the head. " +
					"Of a large queue a few places are drawn, as if it went round sooner.",
				"The thread crosses the border only in a system call. Calls that register something aren't in the count.",
				"A card is a request in flight. A stack is a multishot request; × counts the completions that it has given.",
				"Time below isn't to scale: a long wait is drawn only somewhat wider than a short one. Pale is a call that " +
					"sleeps for a millisecond or more. Right of the line is what comes later.",
				"A tinted band is the time in which a slot or descriptor is open. A bar is a request, pale while it only lies " +
					"in the queue. A dot is a completion, a hollow dot one with an error.",
				"When the program marks completions as seen becomes known at its next call: it may have done so earlier.",
				"Click a card, an entry, a bar, a buffer or the thread to list all that is known of it. A second click, or " +
					"Escape, forgets it.",
			]) html(list, "li", {}, text);
			html(keys, "p", {}, "The keys stand below the buttons, and work while the picture is in view. Besides: r chooses the " +
				"request of the moment, Home and End go to the ends, + and − change the speed. Small marks on the slider are " +
				"the chapters; red ones are errors.");
		}

		resize() {
			const style = getComputedStyle(this.root);
			const width = Math.floor(this.root.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight));
			if (width === this.width || width <= 0) return;
			this.width = width;
			const each = Math.floor(width / (this.stages.length - 1)) - 6;
			const apart = this.stages.length > 1 && each > 330;
			this.shown = this.stages.filter(({ ring }) => Boolean(ring) === apart);
			for (const stage of this.stages) {
				stage.svg.toggleAttribute("hidden", !this.shown.includes(stage));
				stage.layout(apart ? each : width);
			}
			this.lanes.layout(width);
			this.draw();
		}

		draw() {
			const state = this.run.stateAfter(this.current);
			this.state = state;
			for (const name of ["sqes", "calls", "cqes"]) this.counts[name].textContent = state[name].toLocaleString("en");
			this.counts.flight.textContent = state.flight.size;
			this.counts.time.textContent = duration(this.run.events[this.current][0]);
			for (const stage of this.shown) stage.draw(state, this.choice?.request);
			this.lanes.draw(this.current, this.choice?.request);
			if (this.run.usesBuffers) drawBuffers(this.buffers, this.run, state, this.width, this.choice?.buffer);
			this.drawWords();
			this.drawChoice();
			this.slider.value = this.current;
			this.slider.setAttribute("aria-valuetext", `event ${this.current + 1} of ${this.run.events.length}`);
			const chapter = this.run.chapters.findLast(([i]) => i <= this.current);
			for (const link of document.querySelectorAll('.tour a[href^="#e="]')) {
				if (chapter && link.hash === `#e=${chapter[0] + 1}`) link.setAttribute("aria-current", "step");
				else link.removeAttribute("aria-current");
			}
		}

		drawWords() {
			const { run, says, current } = this;
			const [, , kind, line, ...rest] = run.events[current];
			const chapter = run.chapters.findIndex(([i]) => i === current);
			const by = run.functionOf(current);
			if (says.contains(document.activeElement)) this.root.focus({ preventScroll: true });
			says.replaceChildren();
			says.setAttribute("aria-live", this.playing ? "off" : "polite");
			says.classList.toggle("warned", kind === "warn");
			if (chapter >= 0) {
				const words = html(says, "p", { class: "chapter" });
				html(words, "b", {}, `${chapter + 1} of ${run.chapters.length} `);
				words.append(run.chapters[chapter][2]);
			}
			html(says, "p", { class: "sentence" }, sentences[kind]?.(run, rest, line, current, this.state) ?? line);
			const code = html(says, "p", { class: "line" });
			if (by) html(code, run.functions[by] ? "a" : "span", { class: "function", href: run.functions[by] && (run.base ?? "") + run.functions[by] }, `${by}()`);
			html(code, "code", {}, line);
		}

		/* What was chosen, in lines that lead to its events; the present one in view. */
		drawChoice() {
			const { run, chosen, choice } = this;
			const hadFocus = chosen.contains(document.activeElement);
			chosen.replaceChildren();
			if (!choice) return;
			const box = html(chosen, "div", { class: "choice" });
			const head = html(box, "p", {}, choice.title);
			const close = html(head, "button", { type: "button", "aria-label": "Forget the choice", title: "Forget the choice (Escape)" }, "×");
			close.addEventListener("click", () => this.choose(undefined));
			const list = html(box, "ol", { class: "history", "aria-label": choice.title });
			const now = choice.events.findLastIndex((i) => i <= this.current);
			const first = Math.max(0, Math.min(now - 100, choice.events.length - 200));
			for (const i of choice.events.slice(first, first + 200)) {
				const [time, , kind, line] = run.events[i];
				const button = html(html(list, "li"), "button", { type: "button", class: i > this.current ? "later" : undefined },
					`${duration(time)}  ${kind === "begin" ? choice.request.line : line}`);
				button.addEventListener("click", () => this.seek(i));
				if (choice.events[now] !== i) continue;
				button.setAttribute("aria-current", "step");
				list.scrollTop = button.offsetTop - list.offsetTop - 40;
			}
			if (choice.request?.end === run.events.length)
				html(list, "li", {}, "no last completion in this page");
			if (hadFocus) (chosen.querySelector("[aria-current]") ?? this.root).focus({ preventScroll: true });
		}

		choose(choice) {
			this.choice = choice;
			this.draw();
			this.root.focus({ preventScroll: true });
		}

		/* A second click on the same undoes the choice. */
		pick(request) {
			this.choose(request && request !== this.choice?.request && {
				title: `${request.label} ${request.target}`.trim() + ": its request and completions",
				request, events: [request.begin, ...request.cqes],
			});
		}

		pickCall() {
			const { begin, end } = this.run.callAt(this.current);
			this.choose({
				title: `The call ${this.run.events[begin][3]}`,
				events: Array.from({ length: end - begin + 1 }, (_, i) => begin + i)
					.filter((i) => this.run.events[i][2] !== "reap"),
			});
		}

		pickBuffer(key) {
			this.choose(key && key !== this.choice?.buffer && {
				title: `Buffer ${key.split("/")[1]} of group ${key.split("/")[0]}: whose it was`,
				buffer: key, events: this.run.life.get(key) ?? [],
			});
		}

		seek(index) {
			this.start.hidden = true;
			this.current = Math.max(0, Math.min(this.run.events.length - 1, index));
			this.position = this.run.at[this.current];
			this.draw();
		}

		stepForward() {
			if (this.current === this.run.events.length - 1) return;
			const event = this.run.events[this.current + 1];
			const movements = this.shown.map((stage) => [stage, stage.movements(this.state, event)]);
			this.seek(this.current + 1);
			const lasts = Math.min(420, this.step / this.speed);
			if (calm.matches || lasts < LEAST_FLIGHT_MILLISECONDS) return;
			for (const [stage, moves] of movements) stage.fly(moves, lasts);
		}

		seekCall(direction) {
			this.seekAmong(this.run.crossings, direction);
		}

		seekChapter(direction) {
			this.pause();
			this.seekAmong(this.run.chapters.map(([i]) => i), direction);
		}

		/* To the next or the previous of some events, or else to the end or the beginning. */
		seekAmong(events, direction) {
			const next = direction > 0 ? events.find((i) => i > this.current) : events.findLast((i) => i < this.current);
			this.seek(next ?? (direction > 0 ? this.run.events.length - 1 : 0));
		}

		toggle() {
			if (this.playing) this.pause();
			else this.play();
		}

		play() {
			if (!this.start.hidden || this.current === this.run.events.length - 1) this.seek(0);
			this.playing = true;
			this.showPlaying();
			this.position = this.run.at[this.current];
			let last = performance.now();
			let reading = 0; /* until when a chapter's sentence is being read */
			const frame = (now) => {
				if (!this.playing) return;
				if (now >= reading) this.position += Math.max(0, now - last) / this.step * this.speed;
				last = now;
				let due = this.run.indexAt(this.position);
				const chapter = this.run.chapters.find(([i]) => i > this.current && i <= due);
				if (chapter) {
					[due] = chapter;
					this.position = this.run.at[due];
					reading = now + this.reading / this.speed;
				}
				const { position } = this;
				if (due === this.current + 1) this.stepForward();
				else if (due > this.current) this.seek(due);
				this.position = position;
				if (this.current === this.run.events.length - 1) this.pause();
				else requestAnimationFrame(frame);
			};
			requestAnimationFrame(frame);
		}

		pause() {
			this.playing = false;
			this.showPlaying();
			this.drawWords();
		}

		showPlaying() {
			this.playButton.textContent = this.playing ? "❚❚" : "▶";
			for (const name of ["aria-label", "title"]) this.playButton.setAttribute(name, this.playing ? "Pause" : "Play");
		}

		changeSpeed(by) {
			const index = Math.max(0, Math.min(SPEEDS.length - 1, SPEEDS.indexOf(this.speed) + by));
			this.speed = SPEEDS[index];
			this.speedSelect.value = this.speed;
		}

		/* Keys work while the picture is in view, unless somebody writes or has opened something. */
		isMeant(event) {
			const { target } = event;
			if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return false;
			if (this.root.contains(target)) return !target.matches("select");
			if (target.closest("input:not([type=range]), select, textarea, [contenteditable], [popover], dialog")) return false;
			const boxes = this.shown.map(({ svg }) => svg.getBoundingClientRect());
			const [top, bottom] = [Math.min(...boxes.map((box) => box.top)), Math.max(...boxes.map((box) => box.bottom))];
			return Math.min(bottom, innerHeight) - Math.max(top, 0) > (bottom - top) / 2;
		}

		onKey(event) {
			if (!this.isMeant(event)) return;
			const onButton = event.target.matches("button, summary, a");
			const isOurs = this.root.contains(event.target) || this.root.hasAttribute("data-whole-page");
			const actions = {
				" ": onButton ? undefined : () => this.toggle(),
				ArrowRight: () => { this.pause(); this.stepForward(); },
				ArrowLeft: () => { this.pause(); this.seek(this.current - 1); },
				Home: isOurs && (() => this.seek(0)),
				End: isOurs && (() => this.seek(this.run.events.length - 1)),
				c: () => this.seekCall(1),
				C: () => this.seekCall(-1),
				n: () => this.seekChapter(1),
				p: () => this.seekChapter(-1),
				l: () => this.copyLink(),
				"+": () => this.changeSpeed(1),
				"-": () => this.changeSpeed(-1),
				r: () => this.pick(this.run.requestOf(this.current)),
				Escape: this.choice && (() => this.choose(undefined)),
			};
			const action = actions[event.key];
			if (!action) return;
			event.preventDefault();
			action();
		}
	}

	for (const root of document.querySelectorAll(".ring-player")) root.player = new Player(root);
}

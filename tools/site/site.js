/* What the pages can do beyond being read. Everything else works without this file. */
"use strict";

{
	const put = (parent, name, attributes = {}, text) => {
		const element = document.createElement(name);
		for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
		if (text !== undefined) element.textContent = text;
		parent.append(element);
		return element;
	};
	const root = document.body.dataset.root;

	/* A page that is opened from a folder may load scripts, and nothing else. Each is loaded once. */
	const loaded = new Map();
	const load = (name) => {
		if (!loaded.has(name))
			loaded.set(name, new Promise((resolve, reject) => {
				const script = put(document.head, "script", { src: `${root}assets/${name}` });
				script.onload = resolve;
				script.onerror = reject;
			}));
		return loaded.get(name);
	};

	/* ---- Code: a button that copies the commands ---- */

	for (const pre of document.querySelectorAll("main pre")) {
		if (pre.scrollWidth > pre.clientWidth) pre.tabIndex = 0;
		const commands = [...pre.querySelectorAll(".command")].map((command) => command.textContent);
		const shell = pre.matches(".sourceCode.sh, .sourceCode.bash") && !document.body.matches(".source");
		if ((commands.length === 0 && !shell) || !navigator.clipboard) continue;
		pre.parentNode.classList.add("with-copy");
		const button = put(pre.parentNode, "button", { type: "button", class: "copy",
			"aria-label": commands.length === 1 || shell ? "Copy the command" : "Copy the commands" }, "Copy");
		button.addEventListener("click", async () => {
			await navigator.clipboard.writeText(commands.join("\n") || pre.textContent.trimEnd());
			button.textContent = "Copied";
			setTimeout(() => { button.textContent = "Copy"; }, 1500);
		});
	}

	/* ---- Headings: a link to each, and the one that is being read is marked ---- */

	const headings = [...document.querySelectorAll("main :is(h2, h3)[id]")];
	for (const heading of headings)
		put(heading, "a", { class: "permalink", href: `#${heading.id}`, "aria-label": `Link to “${heading.textContent}”` }, "#");

	const here = document.querySelector(".here");
	if (here) {
		const lists = [here];
		/* On a narrow page it's in the drawer. */
		const drawer = document.getElementById("contents");
		const narrow = matchMedia("(max-width: 999px)");
		const place = () => {
			if (narrow.matches) drawer.prepend(here);
			else document.querySelector(".page").append(here);
		};
		narrow.addEventListener("change", place);
		place();
		here.addEventListener("click", (event) => {
			if (event.target.closest("a") && drawer.matches(":popover-open")) drawer.hidePopover();
		});
		const mark = () => {
			const read = headings.findLast((heading) => heading.getBoundingClientRect().top < innerHeight * 0.3) ?? headings[0];
			for (const list of lists)
				for (const link of list.querySelectorAll("a")) {
					const is = read && decodeURIComponent(link.hash) === `#${read.id}`;
					if (is === link.hasAttribute("aria-current")) continue;
					if (!is) link.removeAttribute("aria-current");
					else {
						link.setAttribute("aria-current", "true");
						list.scrollTop = link.offsetTop - list.clientHeight / 2;
					}
				}
		};
		let due = false;
		addEventListener("scroll", () => {
			if (due) return;
			due = true;
			requestAnimationFrame(() => { due = false; mark(); });
		}, { passive: true });
		mark();
	}

	/* ---- Light and dark ---- */

	const themes = { "": ["light", "Colours as the system has them"], light: ["dark", "Light colours"], dark: ["", "Dark colours"] };
	const signs = { "": "◐", light: "☀", dark: "☾" };
	const themeButton = document.querySelector(".theme");
	const showTheme = () => {
		const { theme } = document.documentElement.dataset;
		themeButton.textContent = signs[theme];
		themeButton.setAttribute("aria-label", `${themes[theme][1]}; change`);
		themeButton.title = themes[theme][1];
	};
	themeButton.hidden = false;
	themeButton.addEventListener("click", () => {
		const [next] = themes[document.documentElement.dataset.theme];
		document.documentElement.dataset.theme = next;
		try { localStorage.theme = next; } catch { /* then it holds for this page */ }
		showTheme();
	});
	showTheme();

	/* ---- The glossary: a word's definition beside it, when it is pointed at, focused or tapped ---- */

	const definition = put(document.body, "div", { class: "definition", popover: "manual", role: "tooltip", id: "definition" });
	let shown;

	const hide = () => {
		shown?.removeAttribute("aria-describedby");
		shown = undefined;
		if (definition.matches(":popover-open")) definition.hidePopover();
	};

	const show = async (term) => {
		shown = term;
		await load("glossary.js");
		const html = window.definitions[decodeURIComponent(term.hash.slice(1))];
		if (shown !== term || !html) return;
		definition.innerHTML = html;
		for (const link of definition.querySelectorAll("a[href]"))
			link.href = new URL(link.getAttribute("href"), window.definitionsBase);
		put(put(definition, "p"), "a", { href: term.href }, "in the glossary");
		term.setAttribute("aria-describedby", "definition");
		definition.showPopover();
		const box = term.getBoundingClientRect();
		const { width, height } = definition.getBoundingClientRect();
		definition.style.left = `${Math.max(12, Math.min(box.left, innerWidth - width - 12))}px`;
		definition.style.top = `${box.bottom + height + 8 < innerHeight ? box.bottom + 6 : Math.max(4, box.top - height - 6)}px`;
	};

	let leaving;
	const stay = () => clearTimeout(leaving);
	const leave = () => { leaving = setTimeout(hide, 250); };
	definition.addEventListener("pointerenter", stay);
	definition.addEventListener("pointerleave", leave);
	for (const term of document.querySelectorAll("a.term")) {
		term.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") { stay(); show(term); } });
		term.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") leave(); });
		term.addEventListener("focus", () => show(term));
		term.addEventListener("blur", leave);
		term.addEventListener("click", (event) => {
			if (event.pointerType === "mouse" || event.pointerType === "") return;
			event.preventDefault();
			show(term);
		});
	}
	document.addEventListener("pointerdown", (event) => {
		if (!event.target.closest(".definition, .term")) hide();
	});
	document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
	addEventListener("scroll", () => { if (shown && document.activeElement !== shown) hide(); }, { passive: true });

	/* ---- Search ---- */

	const FUZZY_FROM = 5; /* letters of a word that may be misspelled by one */
	const MOST_RESULTS = 20;
	const searchButton = document.querySelector(".search-button");

	const find = (words) => {
		const query = (presence) => (builder) => {
			for (const word of window.lunr.tokenizer(words)) {
				const term = word.toString().replace(/^\W+|\W+$/g, "");
				if (!term) continue;
				builder.term(term, { boost: 10, presence });
				builder.term(term, { boost: 2, wildcard: window.lunr.Query.wildcard.TRAILING, usePipeline: false });
				if (term.length >= FUZZY_FROM) builder.term(term, { boost: 0.5, editDistance: 1, usePipeline: false });
			}
		};
		const { REQUIRED, OPTIONAL } = window.lunr.Query.presence;
		const all = find.index.query(query(REQUIRED));
		const found = new Set(all.map(({ ref }) => ref));
		return [...all, ...find.index.query(query(OPTIONAL)).filter(({ ref }) => !found.has(ref))].slice(0, MOST_RESULTS)
			.map(({ ref }) => window.searchIndex.documents[Number(ref)]);
	};

	const openSearch = (() => {
		let dialog, input, list, status;

		const showResults = () => {
			list.replaceChildren();
			const words = input.value.trim();
			if (!words || !find.index) {
				status.textContent = words ? "…" : "A word, an errno, a symptom: ENOBUFS, hangs, port in use";
				return;
			}
			const results = find(words);
			status.textContent = results.length ? "" : "Nothing found. Try another word, or part of it.";
			for (const [page, anchor, heading, title, text] of results) {
				const link = put(put(list, "li"), "a", { href: `${root}${page}${anchor ? `#${anchor}` : ""}` });
				put(link, "strong", {}, heading);
				if (title) put(link, "small", {}, ` ${title}`);
				put(link, "span", {}, text);
			}
			if (results.length) status.textContent = results.length === 1 ? "1 result" : `${results.length} results; ↓ and ↑ go through them`;
		};

		const step = (event) => {
			const stops = [input, ...list.querySelectorAll("a")];
			const at = stops.indexOf(document.activeElement);
			const to = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
			if (to === undefined) return;
			event.preventDefault();
			stops[Math.max(0, Math.min(stops.length - 1, to))].focus();
		};

		const build = () => {
			dialog = put(document.body, "dialog", { class: "search", "aria-label": "Search" });
			const form = put(dialog, "form", { role: "search" });
			input = put(form, "input", { type: "search", "aria-label": "Search", autocomplete: "off", spellcheck: "false" });
			put(form, "button", { type: "button" }, "Close").addEventListener("click", () => dialog.close());
			status = put(dialog, "p", { role: "status" });
			list = put(dialog, "ol");
			input.addEventListener("input", showResults);
			dialog.addEventListener("keydown", step);
			form.addEventListener("submit", (event) => {
				event.preventDefault();
				list.querySelector("a")?.click();
			});
			/* A click beside it, or one that leads somewhere in this page, closes it. */
			dialog.addEventListener("click", (event) => { if (event.target === dialog || event.target.closest("a")) dialog.close(); });
		};

		return async () => {
			if (!dialog) build();
			dialog.showModal();
			input.select();
			showResults();
			await Promise.all([load("lunr.min.js"), load("search-index.js")]);
			find.index ??= window.lunr.Index.load(window.searchIndex.index);
			showResults();
		};
	})();

	if (searchButton) {
		searchButton.hidden = false;
		searchButton.addEventListener("click", openSearch);
		document.addEventListener("keydown", (event) => {
			if (event.altKey || event.target.closest("input:not([type=range]), textarea, select")) return;
			if (event.key !== (event.ctrlKey || event.metaKey ? "k" : "/")) return;
			event.preventDefault();
			openSearch();
		});
	}

	/* ---- The first page's run plays while it's in view, unless somebody wants no motion or has taken over ---- */

	addEventListener("load", () => {
		const stage = document.querySelector(".ring-player[data-autoplay]");
		if (!stage?.player || matchMedia("(prefers-reduced-motion: reduce)").matches || location.hash) return;
		const { player } = stage;
		let ours = !player.start.hidden;
		const observer = new IntersectionObserver(([entry]) => {
			if (ours && entry.isIntersecting !== player.playing) player.toggle();
			if (player.current === player.run.events.length - 1) observer.disconnect();
		}, { threshold: 0.6 });
		for (const name of ["pointerdown", "keydown"]) stage.addEventListener(name, () => { ours = false; });
		observer.observe(stage.querySelector(".stages"));
	});
}

/*
 * What tests/site.bats looks at in Chromium:
 *
 *   node tests/site/browser.js site SITE RESULTS      every check of the pages of "make site", with one load of
 *                                                     each page; RESULTS/CHECK has what is wrong, a line each.
 *                                                     With names of checks behind: only those, of the ones that
 *                                                     have a page for themselves, or "links" for all others
 *   node tests/site/browser.js CHECK FILE [TEXT]...   a page of ringtrace --html; prints what is wrong and exits
 *                                                     with 1 if anything is
 */
"use strict";

const fs = require("fs");
const path = require("path");
const { pathToFileURL } = require("url");
const { chromium } = require("playwright-core");

const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
	"--disable-component-update", "--disable-sync"];
const WIDE = { width: 1440, height: 900 };
const MIDDLE = { width: 1000, height: 900 };
const NARROW = { width: 390, height: 844 };
const MOST_BYTES = 250000; /* of a lesson's page, with its run */

let browser;
const wrong = new Map(); /* by check */
const complain = (name, text) => wrong.set(name, [...wrong.get(name) ?? [], text]);
const check = (name, holds, text) => { if (!holds) complain(name, text); };

const pagesOf = (folder) => fs.readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".html"))
	.map((name) => path.join(folder, name)).sort();
const isDay = (file) => /day0\d-[^/]*\/index\.html$/.test(file) && fs.existsSync(path.join(path.dirname(file), "run.js"));

/* Pages that differ in more than the source they show: those are looked at closely. */
const kindsOf = (files) => {
	const isSource = (file) => fs.readFileSync(file, "utf8").includes('<body class="source">');
	const kinds = [isSource, (file) => file.endsWith("/run.html"), (file) => file.endsWith("/task.html"), () => true];
	const sorted = kinds.map(() => []);
	for (const file of files) sorted[kinds.findIndex((is) => is(file))].push(file);
	return sorted.flatMap((some, i) => i < 3 ? some.slice(0, 2) : some);
};

/* A tab; whatever its pages complain about or ask of others is wrong. */
const tab = async (name, options = {}) => {
	const context = await browser.newContext({ viewport: WIDE, reducedMotion: "reduce", ...options });
	const page = await context.newPage();
	page.setDefaultTimeout(60000);
	page.on("console", (message) => {
		if (message.type() === "error") complain(name, `${page.url()}: ${message.text()}`);
	});
	page.on("pageerror", (error) => complain(name, `${page.url()}: ${error.message}`));
	page.on("request", (request) => {
		if (!/^(file|data):/.test(request.url())) complain(name, `${page.url()} asks for ${request.url()}`);
	});
	return page;
};
const show = (page, file) => page.goto(pathToFileURL(file).href);

const counts = (page) => page.evaluate(() => Object.fromEntries(
	[...document.querySelectorAll(".ring-player [data-count]")].map((element) =>
		[element.dataset.count, Number(element.textContent.replace(/,/g, ""))])));

const seek = (page, index) => page.evaluate((to) => document.querySelector(".ring-player").player.seek(to), index);
const eventsOf = (page) => page.evaluate(() => document.querySelector(".ring-player")?.player.run.events.length ?? 0);

/* The player has been told of its new width. */
const settled = (page) => page.waitForFunction(() => {
	const root = document.querySelector(".ring-player");
	const style = getComputedStyle(root);
	return Math.floor(root.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight)) === root.player.width;
});

/* ---- Of every page ---- */

const found = []; /* each page's ids and links */

const collectLinks = async (page, file) => {
	found.push({ file: path.resolve(file), ...await page.evaluate(() => ({
		ids: [...document.querySelectorAll("[id]")].map((element) => element.id),
		links: [...document.querySelectorAll("a[href], link[href], script[src], img[src]")]
			.map((element) => element.getAttribute("href") ?? element.getAttribute("src")),
	})) });
};

const checkLinks = () => {
	const ids = new Map(found.map((page) => [page.file, page.ids]));
	const links = found.flatMap((page) => page.links.map((link) => [page.file, link]));
	for (const [file, link] of links) {
		if (/^(https?|mailto|data|file):/.test(link)) continue;
		check("links", !link.startsWith("/"), `${file}: ${link} does not work under another path`);
		const [name, anchor] = link.split("#");
		const target = name ? path.resolve(path.dirname(file), decodeURIComponent(name)) : file;
		if (/^e=\d+$/.test(anchor) && ids.get(target)?.includes("watch-it-run")) continue; /* an event of its run */
		check("links", fs.existsSync(target) && fs.statSync(target).isFile(), `${file}: there is no ${link}`);
		if (anchor && ids.has(target))
			check("links", ids.get(target).includes(decodeURIComponent(anchor)), `${file}: nothing has the id of ${link}`);
	}
	check("links", links.length > 100, `only ${links.length} links were found`);
};

/* ---- Of each kind of page ---- */

/* Nothing is wider than the window, and no words of the player's picture lie on each other. */
const overlaps = async (page, file, viewport) => {
	await page.setViewportSize(viewport);
	const excess = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
	check("overlaps", excess <= 0, `${file}: ${excess} pixels wider than ${viewport.width}`);
	if (await eventsOf(page) === 0) return;
	await settled(page);
	const pairs = await page.evaluate(() => {
		const root = document.querySelector(".ring-player");
		const events = root.player.run.events.length;
		const pairs = [];
		for (let index = 0; index < events; index += Math.ceil(events / 12)) {
			root.player.seek(index);
			for (const svg of root.querySelectorAll(".stage, .lanes")) {
				const words = [...svg.querySelectorAll("text:not(.letter)")].filter((text) => text.textContent);
				const boxes = words.map((text) => text.getBoundingClientRect());
				boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b, j) => {
					if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 4 && b.top < a.bottom - 4)
						pairs.push(`event ${index}: ${words[i].textContent} / ${words[i + 1 + j].textContent}`);
				}));
			}
		}
		return pairs;
	});
	for (const pair of pairs) complain("overlaps", `${file}, ${viewport.width} wide, ${pair} overlap`);
};

/* A table in markdown has a header, also where there is nothing to be said in it. */
const accessible = async (page, file, scheme) => {
	await page.emulateMedia({ colorScheme: scheme });
	const events = await eventsOf(page);
	if (events > 0) await seek(page, Math.floor(events / 2));
	if (!await page.evaluate(() => Boolean(window.axe))) await page.evaluate(axe);
	const { violations } = await page.evaluate(() => window.axe.run({ preload: false, resultTypes: ["violations"],
		rules: { "empty-table-header": { enabled: false } } }));
	for (const violation of violations)
		complain("accessible", `${file} (${scheme}): ${violation.id}: ` +
			violation.nodes.slice(0, 3).map((node) => node.target.join(" ")).join(", "));
};

/* ---- Of each day's page ---- */

/* The player plays to its end, and has then counted what ringtrace counts. */
const plays = async (page, file) => {
	await seek(page, 0);
	await page.emulateMedia({ reducedMotion: "no-preference" });
	await page.selectOption(".ring-player select", "16");
	await page.click(".ring-player .play");
	await page.waitForFunction(() => {
		const { player } = document.querySelector(".ring-player");
		return player.current === player.run.events.length - 1 && !player.playing;
	});
	await page.emulateMedia({ reducedMotion: "reduce" });
	const lines = fs.readFileSync(path.join(path.dirname(file), "run.txt"), "utf8");
	const sum = (column) => [...lines.matchAll(/^ {2}[a-z_0-9]+ +(\d+) +(\d+)/gm)]
		.reduce((total, row) => total + Number(row[column]), 0);
	const unknown = Number(lines.match(/CQEs of no certain operation: (\d+)/)?.[1] ?? 0); // another ring's messages
	const has = await counts(page);
	check("plays", has.sqes > 0 && has.sqes === sum(1), `${file}: ${has.sqes} SQEs, and ringtrace: ${sum(1)}`);
	check("plays", has.cqes === sum(2) + unknown, `${file}: ${has.cqes} CQEs, and ringtrace: ${sum(2)} and ${unknown}`);
	const calls = Number(lines.match(/calls that entered the kernel: (\d+)/)[1]);
	check("plays", has.calls === calls, `${file}: ${has.calls} system calls, and ringtrace: ${calls}`);
};

/* A step back leads to exactly what was there before. */
const back = async (page, file) => {
	const mistakes = await page.evaluate(() => {
		const root = document.querySelector(".ring-player");
		const { player } = root;
		const last = player.run.events.length - 1;
		const shown = () => [...root.querySelectorAll("dd, .stage, .lanes, .buffers, .says")].map((part) => part.outerHTML).join();
		const click = (label) => root.querySelector(`[aria-label="${label}"]`).click();
		const mistakes = [];
		for (let index = 0; index < last; index += Math.ceil(last / 25)) {
			player.seek(index);
			const before = shown();
			click("A step forward");
			if (shown() === before) mistakes.push(`event ${index + 1} changes nothing`);
			click("A step back");
			if (shown() !== before) mistakes.push(`a step back to event ${index} shows something else`);
		}
		return mistakes;
	});
	for (const mistake of mistakes) complain("back", `${file}: ${mistake}`);
};

/* Each chapter leads to its event, which its sentence stands beside; next and previous go through all of them. */
const tours = async (page, file) => {
	const links = await page.locator(".tour a").all();
	check("tours", links.length >= 3, `${file}: only ${links.length} chapters`);
	const said = () => page.textContent(".ring-player .chapter").catch(() => "");
	const has = async (number, how) => {
		// On a busy machine the page draws a moment after the click.
		await page.waitForFunction((start) => {
			const chapters = [...document.querySelectorAll(".ring-player .chapter")];
			return chapters.length === 1 && chapters[0].textContent.startsWith(start);
		}, `${number} of ${links.length} `, { timeout: 20000 }).catch(() => {});
		const words = await page.locator(".ring-player .chapter").allTextContents();
		check("tours", words.length === 1 && words[0].startsWith(`${number} of ${links.length} `), `${file}: ${how} shows: ${words}`);
	};
	for (const [i, link] of links.entries()) {
		await link.click();
		await has(i + 1, `chapter ${i + 1}`);
		check("tours", (await said()).includes((await link.textContent()).trim()), `${file}: chapter ${i + 1} says: ${await said()}`);
	}
	await seek(page, 0);
	for (let i = 1; i <= links.length; i++) {
		await page.click(".ring-player [aria-label='To the next chapter']");
		await has(i, `${i} times next`);
	}
	await page.click(".ring-player [aria-label='To the previous chapter']");
	await has(links.length - 1, "previous");
};

/* Each kind of event has a caption that is about this event: its request, its target, its bytes. */
const captions = async (page, file) => {
	const missing = await page.evaluate(() => {
		const { player } = document.querySelector(".ring-player");
		const { run } = player;
		const missing = [];
		run.events.forEach(([, , kind, line, ...rest], i) => {
			if (i % 3 && run.events.length > 200) return;
			player.seek(i);
			const words = player.says.querySelector(".sentence").textContent.replace(/(?<=\d),(?=\d)/g, "");
			const request = run.requestOf(i);
			const bytes = request && / len (\d+)/.exec(request.line)?.[1];
			const named = [request?.target, kind === "cqe" && rest[1] > 0 && request?.operation === "send" ? `${rest[1]} ` : undefined,
				kind === "sqe" && request?.operation === "send" ? `${bytes} byte` : undefined];
			for (const name of named)
				if (name && !words.includes(name)) missing.push(`event ${i + 1}, ${line}, does not name ${name}: ${words}`);
			if (/undefined|NaN|null/.test(words)) missing.push(`event ${i + 1}: ${words}`);
		});
		return missing;
	});
	for (const text of missing.slice(0, 5)) complain("captions", `${file}: ${text}`);
};

/* What a page weighs, and that its text is there before its run. */
const weighs = async (page, file) => {
	const folder = path.dirname(file);
	const parts = await page.evaluate(() => [...document.querySelectorAll("link[rel=stylesheet], script[src], img")]
		.map((part) => part.getAttribute("href") ?? part.getAttribute("src")));
	const bytes = [path.basename(file), ...parts].filter((name) => !/^data:/.test(name))
		.reduce((sum, name) => sum + fs.statSync(path.join(folder, decodeURIComponent(name))).size, 0);
	check("weight", bytes <= MOST_BYTES, `${file}: ${bytes} bytes with all that it loads at once`);
	const blocking = fs.readFileSync(file, "utf8").match(/<script src(?![^>]*defer)[^>]*>/g);
	check("weight", !blocking, `${file}: ${blocking} holds the first paint up`);
};

/* The first paint does not wait for a run that has not come. */
const paints = async (file) => {
	const page = await tab("weight");
	const isPainted = () => page.evaluate(() => performance.getEntriesByName("first-contentful-paint").length > 0).catch(() => false);
	let painted = false;
	await page.route(/run\.js$/, async (route) => {
		for (let i = 0; i < 200 && !painted; i++) {
			painted = await isPainted();
			await new Promise((resolve) => { setTimeout(resolve, 50); });
		}
		await route.continue();
	});
	await page.goto(pathToFileURL(file).href, { waitUntil: "commit" });
	await page.waitForSelector(".ring-player .stage:not([hidden])");
	check("weight", painted, `${file}: nothing is painted before its run is there`);
	await page.context().close();
};

const withoutScripts = async (page, file) => {
	await show(page, file);
	check("without-scripts", await page.isVisible(".ring-player noscript a"), `${file}: nothing leads to the run's lines`);
	const lines = fs.readFileSync(path.join(path.dirname(file), await page.getAttribute(".ring-player noscript a", "href")), "utf8");
	check("without-scripts", lines.includes("summary, rings: "), `${file}: the run's lines are not there`);
	check("without-scripts", await page.isVisible("nav.onward"), `${file}: no way on`);
	const menu = page.locator(".menu");
	await page.setViewportSize(NARROW);
	await menu.click();
	check("without-scripts", await page.isVisible(".side [aria-current=page]"), `${file}: the drawer does not open`);
	await page.setViewportSize(WIDE);
};

/* On a phone the run's words and controls stay in view while the player does, also below a finger. */
const inView = async (page, file, viewport) => {
	await page.setViewportSize(viewport);
	await settled(page);
	const outside = await page.evaluate(async () => {
		const { player } = document.querySelector(".ring-player");
		const outside = [];
		const frame = () => new Promise((resolve) => { requestAnimationFrame(resolve); });
		player.seek(player.run.telling);
		const box = player.root.getBoundingClientRect();
		const top = box.top + scrollY;
		const height = box.height - player.says.parentNode.offsetHeight - 80;
		for (const part of [0, 0.25, 0.5, 0.75, 1]) {
			scrollTo(0, top - 60 + height * part);
			await frame();
			for (const element of [player.says, player.playButton, player.slider]) {
				const { top: from, bottom: to } = element.getBoundingClientRect();
				if (from < 0 || to > innerHeight + 1) outside.push(`${element.className || element.tagName} is at ${from} to ${to}`);
			}
		}
		return outside;
	});
	for (const text of outside) complain("in-view", `${file}, ${viewport.width} wide: ${text}`);
};

/* Dots lie on no label. */
const labels = async (page, file) => {
	const covered = await page.evaluate(() => {
		const { player } = document.querySelector(".ring-player");
		const covered = new Set();
		const { length } = player.run.events;
		for (let i = 0; i < length; i += Math.ceil(length / 30)) {
			player.seek(i);
			for (const span of player.root.querySelectorAll(".lanes .span")) {
				const label = span.querySelector("text")?.getBBox();
				for (const dot of label ? span.querySelectorAll(".answer") : []) {
					const box = dot.getBBox();
					if (box.x < label.x + label.width - 1 && box.x + box.width > label.x + 1) covered.add(`at event ${i + 1} a dot covers ${span.textContent}`);
				}
			}
		}
		return [...covered];
	});
	for (const text of covered) complain("in-view", `${file}: ${text}`);
};

/* ---- Of one day's page ---- */

const at = (page) => page.evaluate(() => document.querySelector(".ring-player").player.current);

/* The keyboard alone suffices, and at once: while the picture is in view, whatever has the focus. */
const keyboard = async (page) => {
	const last = await eventsOf(page) - 1;
	const has = async (key, index) => {
		await page.keyboard.press(key);
		check("keyboard", await at(page) === index, `${key} leads to event ${await at(page)}, not to ${index}`);
	};
	const [telling, calls] = await page.evaluate(() => {
		const { run } = document.querySelector(".ring-player").player;
		return [run.telling, run.crossings];
	});
	await page.evaluate(() => scrollTo(0, 0));
	await has("ArrowRight", telling);
	await page.evaluate(() => document.querySelector(".ring-player .stages").scrollIntoView({ block: "center" }));
	check("keyboard", await page.evaluate(() => document.activeElement === document.body), "something has the focus");
	await has("ArrowRight", telling + 1);
	await has("ArrowLeft", telling);
	await has("c", calls[0]);
	await has("c", calls[1]);
	await has("Shift+C", calls[0]);
	await page.keyboard.press("p");
	await page.keyboard.press("n");
	check("keyboard", await page.locator(".ring-player .chapter").count() === 1, "n does not lead to a chapter");
	const shown = await page.locator(".ring-player .controls [data-key]").evaluateAll((all) => all.map((button) => {
		const { content, display } = getComputedStyle(button, "::after");
		return `${content} ${display}`;
	}));
	check("keyboard", shown.join() === ["p", "C", "←", "space", "→", "c", "n", "l"].map((key) => `"${key}" block`).join(), `beside the controls stands: ${shown}`);

	const inPlayer = () => page.evaluate(() => Boolean(document.activeElement.closest(".ring-player")));
	for (let i = 0; i < 200 && !await inPlayer(); i++) await page.keyboard.press("Tab");
	check("keyboard", await inPlayer(), "Tab does not lead to the player");
	await has("End", last);
	await has("Home", 0);
	await page.keyboard.press("+");
	check("keyboard", await page.inputValue(".ring-player select") === "2", "+ does not make it faster");
	await page.focus(".ring-player input[type=range]");
	await page.keyboard.press("Space");
	check("keyboard", await page.getAttribute(".ring-player .play", "aria-label") === "Pause", "space does not play");
	await page.keyboard.press("Space");
	check("keyboard", await page.getAttribute(".ring-player .play", "aria-label") === "Play", "space does not pause");
	await page.keyboard.press("-");
};

/* What was chosen by a click is told in lines, which lead to its events. */
const picks = async (page) => {
	await page.evaluate(() => {
		const { player } = document.querySelector(".ring-player");
		player.seek(player.run.crossings[0] + 1);
	});
	await page.click(".ring-player .chip >> nth=0");
	const lines = await page.locator(".ring-player .history button").allTextContents();
	check("picks", lines.length === 2 && lines[0].includes("SQE") && lines[1].includes("CQE"), `a click tells: ${lines}`);
	await page.click(".ring-player .history button >> nth=1");
	check("picks", (await page.textContent(".ring-player .line code")).includes("CQE"), "its line does not lead to its CQE");
	const before = await at(page);
	await page.keyboard.press("ArrowLeft");
	check("picks", await at(page) === before - 1, "after a click the keys are dead");
	await page.keyboard.press("Escape");
	check("picks", await page.locator(".ring-player .choice").count() === 0, "Escape does not forget the choice");
	await page.evaluate(() => {
		const { player } = document.querySelector(".ring-player");
		player.seek(player.run.crossings[0] + 1);
	});
	await page.click(".ring-player .thread");
	check("picks", (await page.locator(".ring-player .history button").allTextContents()).join().includes("SQEs taken"),
		"a click on the thread does not tell its call");
	await page.click(".ring-player [aria-label='Forget the choice']");
	check("picks", await page.locator(".ring-player .choice").count() === 0, "its × does not forget the choice");
};

/* It begins with a telling frame and a large button; the run lasts some 30 seconds. */
const begins = async (file) => {
	const page = await tab("begins");
	await show(page, file);
	const box = await page.locator(".ring-player .start").boundingBox();
	check("begins", box?.height >= 56 && box.width >= 150, `the play button is ${box?.width} by ${box?.height}`);
	const [first, state] = await page.evaluate(() => {
		const { player } = document.querySelector(".ring-player");
		const { flight, rings } = player.run.stateAfter(player.current);
		return [player.current, flight.size + [...rings.values()].reduce((sum, ring) => sum + ring.cq.requests.length + ring.sq.requests.length, 0)];
	});
	check("begins", first > 0 && state > 0, `it begins at event ${first}, with ${state} requests to be seen`);
	/* The clock of the page is run by hand. */
	await page.clock.install();
	await page.clock.pauseAt(new Date(Date.now() + 60000));
	await page.click(".ring-player .start");
	check("begins", await at(page) === 0, "the button does not play from the beginning");
	check("begins", await page.isHidden(".ring-player .start"), "the button stays");
	let seconds = 0;
	while (seconds < 60 && await page.evaluate(() => document.querySelector(".ring-player").player.playing)) {
		await page.clock.fastForward(200);
		seconds += 0.2;
	}
	check("begins", seconds > 15 && seconds < 40, `${file}: the run lasts ${seconds} s`);
	await page.context().close();
};

/* Day 1's requests have a colour each, the same in both queues, in flight, and in their rows. */
const colours = async (page) => {
	const wrong = await page.evaluate(() => {
		const { player } = document.querySelector(".ring-player");
		const colourOf = (element) => getComputedStyle(element).getPropertyValue("--colour").trim();
		const seen = new Map();
		const wrong = [];
		player.run.events.forEach((event, i) => {
			player.seek(i);
			for (const element of player.root.querySelectorAll(".stage [data-request], .lanes [data-request]")) {
				const colour = colourOf(element);
				const before = seen.get(element.dataset.request) ?? colour;
				if (before !== colour || !colour) wrong.push(`request ${element.dataset.request} is ${before} and ${colour}`);
				seen.set(element.dataset.request, before);
			}
		});
		if (new Set(seen.values()).size !== 4) wrong.push(`the colours are ${[...seen.values()]}`);
		return wrong;
	});
	for (const text of wrong.slice(0, 5)) complain("in-view", `day 1: ${text}`);
};

/* "#e=12" opens that moment, and "copy link" makes it. */
const deepLinks = async (file) => {
	const page = await tab("deep-links");
	await page.goto(`${pathToFileURL(file).href}#e=12`);
	check("deep-links", await at(page) === 11, `#e=12 opens event ${await at(page) + 1}`);
	check("deep-links", await page.evaluate(() => {
		const { top, bottom } = document.querySelector(".ring-player .says").getBoundingClientRect();
		return top >= 0 && bottom <= innerHeight;
	}), "#e=12 shows something else of the page");
	await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
	await seek(page, 7);
	await page.keyboard.press("l");
	await page.waitForFunction(() => document.querySelector(".ring-player .controls > button:last-child").textContent.includes("copied"));
	const copied = await page.evaluate(() => navigator.clipboard.readText());
	check("deep-links", copied.endsWith("/index.html#e=8"), `the link is ${copied}`);
	await page.evaluate(() => { location.hash = "#e=3"; });
	await page.waitForFunction(() => document.querySelector(".ring-player").player.current === 2);
	/* A link to where one is already goes there, too. */
	const [link] = await page.locator(".tour a").all();
	await link.click();
	const chapter = await at(page);
	await seek(page, 0);
	await link.click();
	check("deep-links", await at(page) === chapter, "a chapter's second click does nothing");
	await page.context().close();
};

/* The function that has prepared an event's request stands beside its line, and leads to the source. */
const functions = async (page, file) => {
	const run = await page.evaluate(() => {
		const { run } = document.querySelector(".ring-player").player;
		return { by: [...run.requests.values()].map(({ by }) => by).filter(Boolean), functions: run.functions };
	});
	check("functions", run.by.length > 0, `${file}: no event's function is known`);
	if (run.by.length === 0) return;
	for (const name of new Set(run.by))
		check("functions", name in run.functions, `${file}: nothing leads to the source of ${name}()`);
	await page.evaluate(() => {
		const { player } = document.querySelector(".ring-player");
		player.seek(player.run.events.findIndex(([, , kind]) => kind === "sqe"));
	});
	const href = await page.evaluate(() => document.querySelector(".ring-player .function")?.href ?? "");
	const [name, line] = [await page.textContent(".ring-player .function"), Number(href.match(/#L(\d+)$/)?.[1])];
	const source = new URL(href).pathname;
	check("functions", fs.existsSync(source), `${file}: ${name} leads to ${href}`);
	const shown = fs.readFileSync(source, "utf8").match(new RegExp(`id="L${line}">.*`))?.[0].replace(/<[^>]*>/g, "") ?? "";
	check("functions", shown.includes(name.replace("()", "(")), `${file}: ${name} leads to: ${shown}`);
};

/* ---- The pages around it ---- */

/* What others show of a link; the first page's cards and its run, which plays when it comes into view. */
const home = async (folder, days) => {
	const file = path.join(folder, "index.html");
	const page = await tab("home", { reducedMotion: "no-preference" });
	await show(page, file);
	const meta = (name) => page.getAttribute(`meta[${name}]`, "content");
	check("home", (await meta("name=description")).length > 50, "no description");
	check("home", (await meta("property='og:title'")).length > 5, "no og:title");
	const picture = fs.readFileSync(path.join(folder, await meta("property='og:image'")));
	check("home", picture.toString("latin1", 1, 4) === "PNG" && picture.readUInt32BE(16) === 1200 && picture.readUInt32BE(20) === 630,
		"the picture is no PNG of 1200 by 630");
	check("home", fs.existsSync(path.join(folder, await page.getAttribute("link[rel=icon]", "href"))), "no icon");
	const cards = await page.locator(".cards a").evaluateAll((links) => links.map((link) => link.getAttribute("href")));
	for (const day of days)
		check("home", cards.includes(path.relative(folder, day)), `no card leads to ${path.relative(folder, day)}`);
	await page.evaluate(() => document.querySelector(".ring-player .stages").scrollIntoView({ block: "center" }));
	await page.waitForFunction(() => document.querySelector(".ring-player").player.playing);
	await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
	await page.waitForFunction(() => !document.querySelector(".ring-player").player.playing);
	await page.context().close();

	const calm = await tab("home");
	await show(calm, file);
	await calm.evaluate(() => document.querySelector(".ring-player .stages").scrollIntoView({ block: "center" }));
	await calm.waitForTimeout(500);
	check("home", await calm.isVisible(".ring-player .start"), "it plays although no motion is wanted");
	await calm.context().close();
};

/* A phone: the bar stays, its drawer has the contents and this page's sections, and tables are lists. */
const phone = async (file, errors) => {
	const page = await tab("phone", { viewport: NARROW, hasTouch: true, isMobile: true });
	await show(page, file);
	await page.evaluate(() => scrollTo(0, 3000));
	check("phone", (await page.locator(".menu").boundingBox()).y < 20, "the bar does not stay");
	await page.tap(".menu");
	check("phone", await page.isVisible(".side [aria-current=page]"), "the drawer has no contents");
	const sections = page.locator(".side .here ul ul > li > a");
	check("phone", await sections.count() > 4, "the drawer does not have the page's sections");
	const target = await sections.nth(3).getAttribute("href");
	await sections.nth(3).tap();
	check("phone", await page.isHidden(".side"), "the drawer stays when something is chosen");
	check("phone", await page.evaluate((id) => {
		const { top } = document.getElementById(id.slice(1)).getBoundingClientRect();
		return top > 40 && top < innerHeight / 2;
	}, target), `${target} is not what is shown`);
	await page.tap(".menu");
	await page.keyboard.press("Escape");
	check("phone", await page.isHidden(".side"), "Escape does not close the drawer");
	await show(page, errors);
	const row = await page.locator("tbody tr >> nth=0").evaluate((element) => [...element.cells].map((cell) => {
		const { left, top } = cell.getBoundingClientRect();
		return [left, top, getComputedStyle(cell, "::before").content];
	}));
	check("phone", row.every(([left], i) => left === row[0][0] && (i === 0 || row[i][1] > row[i - 1][1])), `a row's cells are at ${JSON.stringify(row)}`);
	check("phone", row.every(([, , label]) => label.length > 4), `a row's cells are called ${JSON.stringify(row)}`);
	await page.context().close();
};

/* A wide page: its sections at the right, the one that is read marked; permalinks; excerpts; the switch of colours. */
const desktop = async (file) => {
	const page = await tab("desktop");
	await show(page, file);
	const [main, here] = [await page.locator("main").boundingBox(), await page.locator(".here").boundingBox()];
	check("desktop", here.x >= main.x + main.width, "the page's sections are not at the right");
	const links = await page.locator("main > h2 .permalink").all();
	check("desktop", links.length > 4, "the headings have no links");
	for (const link of [links[1], links.at(-2)]) {
		await link.evaluate((element) => element.parentNode.scrollIntoView());
		const hash = await link.getAttribute("href");
		await page.waitForFunction((wanted) => document.querySelector(".here [aria-current]")?.hash === wanted, hash)
			.catch(() => complain("desktop", `at ${hash} another section is marked`));
	}
	/* An excerpt leads to its lines. */
	const excerpts = await page.locator(".from > a:first-child").evaluateAll((all) => all.map((link) =>
		[link.href, link.parentNode.nextElementSibling.textContent.split("\n")[0]]));
	check("desktop", excerpts.length > 3, `only ${excerpts.length} excerpts lead to their source`);
	for (const [href, line] of excerpts) {
		const { pathname, hash } = new URL(href);
		const shown = fs.readFileSync(decodeURIComponent(pathname), "utf8").match(new RegExp(`id="${hash.slice(1)}">(.*)`))?.[1]
			.replace(/<[^>]*>/g, "").replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&quot;/g, '"').replace(/&#39;/g, "'").replace(/&amp;/g, "&");
		check("desktop", shown?.trim() === line.trim(), `${href} is: ${shown}, and the excerpt begins: ${line}`);
	}
	const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
	const light = await paper();
	while (await page.getAttribute("html", "data-theme") !== "dark") await page.click(".theme");
	check("desktop", await paper() !== light, "the switch changes no colour");
	await page.reload();
	check("desktop", await paper() !== light, "the choice of colours is forgotten");
	check("desktop", await page.evaluate(() => [...document.querySelectorAll(".whole")].every((word) => word.getClientRects().length === 1)),
		"an option breaks in two lines");
	/* A source's lines have their numbers, and one that is linked to is marked. */
	await page.goto(`${excerpts[0][0].replace(/#.*/, "")}#L3`);
	check("desktop", await page.evaluate(() => getComputedStyle(document.querySelector("#L3 > a"), "::before").content.includes("counter")),
		"a source's lines have no numbers");
	check("desktop", await page.evaluate(() => getComputedStyle(document.querySelector("#L3")).backgroundColor !== "rgba(0, 0, 0, 0)"),
		"the line that is linked to is not marked");
	await page.context().close();
};

const WANTED = [["ENOBUFS", /ENOBUFS/], ["hangs", /hang/i], ["port in use", /EADDRINUSE|port-after-kill|Address already in use/],
	["multishot", /multishot/i], ["advance", /advance/], ["io_uring_prep_recv", /receive|recv/i], ["mulitshot", /multishot/i]];

/* By the keyboard alone: "/", words, arrows, Enter. */
const search = async (file) => {
	const page = await tab("search");
	await show(page, file);
	for (const [words, pattern] of WANTED) {
		await page.keyboard.press("/");
		check("search", await page.evaluate(() => document.activeElement.matches(".search input")), "/ does not open the search");
		await page.keyboard.type(words);
		await page.waitForFunction(() => /result|Nothing/.test(document.querySelector(".search [role=status]").textContent));
		const first = await page.locator(".search li a").evaluateAll((all) => all.slice(0, 3).map((link) => link.textContent));
		check("search", first.some((text) => pattern.test(text)), `${words} finds: ${first.join(" | ")}`);
		await page.keyboard.press("Escape");
	}
	await page.keyboard.press("Control+k");
	await page.keyboard.type("ENOBUFS");
	await page.waitForFunction(() => document.querySelectorAll(".search li a").length > 1);
	await page.keyboard.press("ArrowDown");
	await page.keyboard.press("ArrowDown");
	await page.keyboard.press("ArrowUp");
	const href = await page.evaluate(() => document.activeElement.href);
	await page.keyboard.press("Enter");
	await page.waitForURL(href);
	check("search", await page.evaluate(() => !location.hash || Boolean(document.getElementById(decodeURIComponent(location.hash.slice(1))))),
		`${href} leads to nothing`);
	await page.context().close();
};

/* A word's definition is there when it is pointed at, focused or tapped, and gone afterwards. Day 1's lines are tinted. */
const glossary = async (file) => {
	const page = await tab("glossary");
	await show(page, file);
	const term = page.locator("a.term >> nth=0");
	const shown = async (how) => {
		await page.waitForSelector(".definition:popover-open").catch(() => complain("glossary", `${how} shows no definition`));
		check("glossary", (await page.textContent(".definition")).length > 30, `${how} shows an empty definition`);
		check("glossary", await term.getAttribute("aria-describedby") === "definition", `${how} does not tell those who listen`);
	};
	await term.scrollIntoViewIfNeeded();
	await term.hover();
	await shown("pointing at it");
	await page.mouse.move(0, 0);
	await page.waitForSelector(".definition", { state: "hidden" });
	await term.focus();
	await shown("the focus");
	await page.keyboard.press("Escape");
	check("glossary", await page.isHidden(".definition"), "Escape does not close it");
	const tints = await page.evaluate(() => ["crosses", "stays"].map((name) => [...document.querySelectorAll(`.${name}`)]
		.map((line) => `${line.textContent.split("|")[0].trim()} ${getComputedStyle(line).backgroundColor}`)));
	check("glossary", new Set(tints[0]).size === 1 && new Set(tints[1]).size === 1 && tints[0][0].slice(0, 11) === "system call" &&
		tints[1][0].startsWith("memory"), `tinted are ${JSON.stringify(tints)}`);
	await page.context().close();

	const touch = await tab("glossary", { viewport: NARROW, hasTouch: true, isMobile: true });
	await show(touch, file);
	await touch.tap("a.term >> nth=0");
	await touch.waitForSelector(".definition:popover-open").catch(() => complain("glossary", "a tap shows no definition"));
	const { x, width } = await touch.locator(".definition").boundingBox();
	check("glossary", x >= 0 && x + width <= 390, `the definition is at ${x}, ${width} wide`);
	check("glossary", touch.url() === pathToFileURL(file).href, "a tap leaves the page");
	await touch.tap("h1");
	check("glossary", await touch.isHidden(".definition"), "a tap elsewhere does not close it");
	await touch.context().close();
};

/* ---- All of that, with one load of each page where that suffices ---- */

const CHECKS = ["links", "tours", "captions", "plays", "back", "keyboard", "picks", "accessible", "overlaps", "without-scripts",
	"begins", "in-view", "deep-links", "functions", "weight", "home", "phone", "desktop", "search", "glossary"];

/* Whatever a check could not find is wrong, and no reason to leave the others out. */
const doing = async (name, action) => {
	try {
		await action();
	} catch (error) {
		complain(name, error.stack.split("\n").slice(0, 4).join(" "));
	}
};

const site = async (folder, results, ...only) => {
	const files = pagesOf(folder);
	const days = files.filter(isDay);
	const kinds = kindsOf(files);
	const errors = path.join(folder, "docs/errors.html");
	const queue = [
		...days.slice(-1).flatMap((file) => [["phone", () => phone(file, errors)], ["desktop", () => desktop(file)], ["weight", () => paints(file)]]),
		...days.map((file) => ["begins", () => begins(file)]),
		["home", () => home(folder, days)],
		["search", () => search(days[1])],
		["glossary", () => glossary(days[0])],
		["deep-links", () => deepLinks(days[0])],
		...files.map((file) => ["links", (page, plain) => look(page, plain, file)]),
	];
	const look = async (page, plain, file) => {
		await page.emulateMedia({ colorScheme: "light" });
		await show(page, file);
		await collectLinks(page, file);
		if (file === days[0]) {
			await doing("keyboard", () => keyboard(page));
			await doing("picks", () => picks(page));
			await doing("in-view", () => colours(page));
		}
		if (kinds.includes(file)) {
			const schemes = kinds.indexOf(file) % 2 ? ["dark", "light"] : ["light", "dark"];
			for (const scheme of isDay(file) ? schemes : schemes.slice(0, 1)) await doing("accessible", () => accessible(page, file, scheme));
			for (const viewport of [WIDE, MIDDLE, NARROW]) await doing("overlaps", () => overlaps(page, file, viewport));
			await page.setViewportSize(WIDE);
		}
		if (!isDay(file)) return;
		for (const viewport of [WIDE, NARROW]) await doing("in-view", () => inView(page, file, viewport));
		await page.setViewportSize(WIDE);
		await settled(page);
		for (const [name, does] of [["tours", tours], ["captions", captions], ["in-view", labels], ["functions", functions], ["back", back],
			["plays", plays], ["weight", weighs]]) await doing(name, () => does(page, file));
		await doing("without-scripts", () => withoutScripts(plain, file));
	};
	if (only.length > 0) queue.splice(0, Infinity, ...queue.filter(([name]) => only.includes(name)));
	const work = async () => {
		const page = await tab("links");
		const plain = await tab("links", { javaScriptEnabled: false });
		for (let next = queue.shift(); next; next = queue.shift()) await doing(next[0], () => next[1](page, plain));
	};
	await Promise.all([work(), work()]);
	checkLinks();
	const folders = fs.readdirSync(".").filter((name) => /^day0\d-/.test(name) && fs.existsSync(path.join(name, "README.md")));
	check("plays", days.length === folders.length, `there are ${folders.length} days, and runs of ${days.length}`);
	fs.mkdirSync(results, { recursive: true });
	for (const name of CHECKS)
		fs.writeFileSync(path.join(results, name), (wrong.get(name) ?? []).map((text) => `${text}\n`).join(""));
};

/* ---- A page that ringtrace has made ---- */

const own = {
	/* It opens in time, and says what it has not. */
	async large(file) {
		const page = await tab("own");
		const begin = Date.now();
		await show(page, file);
		await page.waitForSelector(".ring-player .stage:not([hidden])");
		const opened = Date.now() - begin;
		check("own", opened < 3000, `it opens in ${opened} ms`);
		check("own", /This page has [\d,]+ of the run's [\d,]{7,} events/.test(await page.textContent(".ring-player")),
			"it does not say what was left out");
		const slowest = await page.evaluate(() => {
			const { player } = document.querySelector(".ring-player");
			let most = 0;
			for (let i = 0; i < 50; i++) {
				const start = performance.now();
				player.seek(Math.floor(player.run.events.length * ((i * 37) % 50) / 50));
				most = Math.max(most, performance.now() - start);
			}
			return most;
		});
		check("own", slowest < 100, `a jump takes ${slowest} ms`);
		console.log(`${fs.statSync(file).size} bytes, opened in ${opened} ms, slowest jump ${slowest.toFixed(1)} ms`);
	},

	/* It begins in the midst of a run, says so, and has what was the case then; it has no warning lost. */
	async begins(file, seconds, ...texts) {
		const page = await tab("own");
		await show(page, file);
		const run = await page.evaluate(() => {
			const { player } = document.querySelector(".ring-player");
			const { rings, flight, sqes } = player.run.stateAfter(0);
			return { first: player.run.events[0], rings: rings.size, flight: flight.size, sqes, time: player.run.events[1]?.[0],
				before: player.run.left_out[0] };
		});
		check("own", run.first[2] === "begin" && run.first[0] === seconds * 1e9, `it begins with ${run.first}`);
		check("own", run.time >= seconds * 1e9, `its first event is at ${run.time} ns`);
		check("own", run.rings === 1 && run.sqes > 0 && run.before > 0,
			`it begins with ${run.rings} rings, ${run.sqes} SQEs before, ${run.before} events left out`);
		await page.keyboard.press("End");
		await page.keyboard.press("Home");
		const has = await page.textContent("body");
		for (const text of texts) check("own", has.includes(text), `it does not say: ${text}`);
		console.log(JSON.stringify(run));
	},

	/* The words that it shows at its end, or has in its run. */
	async says(file, ...texts) {
		const page = await tab("own");
		await show(page, file);
		await page.keyboard.press("End");
		const has = await page.textContent("body");
		const events = await page.evaluate(() => JSON.stringify(document.querySelector(".ring-player").player.run));
		for (const text of texts)
			check("own", has.includes(text) || events.includes(text), `it does not say: ${text}`);
	},
};

(async () => {
	const [name, ...rest] = process.argv.slice(2);
	browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
	try {
		await (name === "site" ? site : own[name])(...rest);
	} finally {
		await browser.close();
	}
	for (const text of wrong.get("own") ?? []) console.log(text);
	process.exit(wrong.has("own") ? 1 : 0);
})();

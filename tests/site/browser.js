/*
 * What tests/site.bats looks at in Chromium:
 *
 *   node tests/site/browser.js site SITE RESULTS      every check of the pages of "make site", with one load of
 *                                                     each page; RESULTS/CHECK has what is wrong, a line each
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
const NARROW = { width: 390, height: 900 };

let browser;
const wrong = new Map(); /* by check */
const complain = (name, text) => wrong.set(name, [...wrong.get(name) ?? [], text]);
const check = (name, holds, text) => { if (!holds) complain(name, text); };

const pagesOf = (folder) => fs.readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".html"))
	.map((name) => path.join(folder, name)).sort();
const isDay = (file) => /day0\d-[^/]*\/index\.html$/.test(file);

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
	page.setDefaultTimeout(20000);
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
		if (/^(https?|mailto|data):/.test(link)) continue;
		check("links", !link.startsWith("/"), `${file}: ${link} does not work under another path`);
		const [name, anchor] = link.split("#");
		const target = name ? path.resolve(path.dirname(file), decodeURIComponent(name)) : file;
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
	/* The player has been told of its new width. */
	await page.waitForFunction(() => {
		const root = document.querySelector(".ring-player");
		const style = getComputedStyle(root);
		return Math.floor(root.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight)) === root.player.width;
	});
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
	await page.selectOption(".ring-player select", "256");
	await page.click(".ring-player .play");
	await page.waitForFunction(() => {
		const { player } = document.querySelector(".ring-player");
		return player.current === player.run.events.length - 1 && !player.playing;
	});
	await page.emulateMedia({ reducedMotion: "reduce" });
	const lines = fs.readFileSync(file, "utf8").match(/<noscript>[^]*<\/noscript>/)[0];
	const sum = (column) => [...lines.matchAll(/^ {2}[a-z_]+ +(\d+) +(\d+)/gm)]
		.reduce((total, row) => total + Number(row[column]), 0);
	const has = await counts(page);
	check("plays", has.sqes > 0 && has.sqes === sum(1), `${file}: ${has.sqes} SQEs, and ringtrace: ${sum(1)}`);
	check("plays", has.cqes === sum(2), `${file}: ${has.cqes} CQEs, and ringtrace: ${sum(2)}`);
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

/* What the text says is to be seen is there, and its button leads to it. */
const finds = async (page, file) => {
	const buttons = await page.locator("button.find").all();
	check("finds", buttons.length >= 3, `${file}: only ${buttons.length} buttons lead to events`);
	for (const button of buttons) {
		const pattern = await button.getAttribute("data-find");
		await seek(page, 0);
		await button.click();
		const line = await page.evaluate(() => {
			const { player } = document.querySelector(".ring-player");
			return player.run.events[player.current][3];
		});
		check("finds", new RegExp(pattern).test(line), `${file}: ${pattern} leads to: ${line}`);
		check("finds", await page.isVisible(".ring-player .says > code"), `${file}: ${pattern} says nothing`);
	}
	await page.keyboard.press("Escape");
};

const withoutScripts = async (page, file) => {
	await show(page, file);
	check("without-scripts", (await page.textContent("main")).includes("summary, rings: 1"), `${file}: the run's lines are not there`);
	check("without-scripts", await page.isVisible("noscript pre"), `${file}: the run's lines cannot be seen`);
};

/* ---- Of one day's page ---- */

/* The keyboard alone suffices. */
const keyboard = async (page) => {
	const at = () => page.evaluate(() => document.querySelector(".ring-player").player.current);
	const last = await eventsOf(page) - 1;
	const has = async (key, index) => {
		await page.keyboard.press(key);
		check("keyboard", await at() === index, `${key} leads to event ${await at()}, not to ${index}`);
	};
	const inPlayer = () => page.evaluate(() => Boolean(document.activeElement.closest(".ring-player")));
	for (let i = 0; i < 200 && !await inPlayer(); i++) await page.keyboard.press("Tab");
	check("keyboard", await inPlayer(), "Tab does not lead to the player");
	await has("ArrowRight", 1);
	await has("ArrowRight", 2);
	await has("ArrowLeft", 1);
	await has("End", last);
	await has("Home", 0);
	const calls = await page.evaluate(() => document.querySelector(".ring-player").player.run.crossings);
	await has("c", calls[0]);
	await has("c", calls[1]);
	await has("Shift+C", calls[0]);
	await page.keyboard.press("+");
	check("keyboard", await page.inputValue(".ring-player select") === "2", "+ does not make it faster");
	await page.focus(".ring-player input[type=range]");
	await page.keyboard.press("Space");
	check("keyboard", await page.getAttribute(".ring-player .play", "aria-label") === "Pause", "space does not play");
	await page.keyboard.press("Space");
	check("keyboard", await page.getAttribute(".ring-player .play", "aria-label") === "Play", "space does not pause");
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
	check("picks", (await page.textContent(".ring-player .says > code")).includes("CQE"), "its line does not lead to its CQE");
	const at = () => page.evaluate(() => document.querySelector(".ring-player").player.current);
	const before = await at();
	await page.keyboard.press("ArrowLeft");
	check("picks", await at() === before - 1, "after a click the keys are dead");
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

/* ---- All of that, with one load of each page ---- */

const CHECKS = ["links", "finds", "plays", "back", "keyboard", "picks", "accessible", "overlaps", "without-scripts"];

const site = async (folder, results) => {
	const files = pagesOf(folder);
	const days = files.filter(isDay);
	const kinds = kindsOf(files);
	const queue = [...files];
	const work = async () => {
		const page = await tab("links");
		const plain = await tab("links", { javaScriptEnabled: false });
		for (let file = queue.shift(); file; file = queue.shift()) {
			await show(page, file);
			await collectLinks(page, file);
			if (file === days[0]) {
				await keyboard(page);
				await picks(page);
			}
			if (kinds.includes(file)) {
				const schemes = kinds.indexOf(file) % 2 ? ["dark", "light"] : ["light", "dark"];
				for (const scheme of isDay(file) ? schemes : schemes.slice(0, 1)) await accessible(page, file, scheme);
				for (const viewport of [WIDE, NARROW]) await overlaps(page, file, viewport);
				await page.setViewportSize(WIDE);
			}
			if (isDay(file)) {
				await finds(page, file);
				await back(page, file);
				await plays(page, file);
				await withoutScripts(plain, file);
			}
		}
	};
	await Promise.all([work(), work()]);
	checkLinks();
	check("plays", days.length === 5, "there are not five days");
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
		await page.waitForSelector(".ring-player .stage");
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

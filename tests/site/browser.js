/*
 * node tests/site/browser.js CHECK [ARGUMENT]...: one check of tests/site.bats, in Chromium. Prints what is
 * wrong, a line each, and exits with 1 if anything is.
 */
"use strict";

const fs = require("fs");
const path = require("path");
const { pathToFileURL } = require("url");
const { chromium } = require("playwright-core");

const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
	"--disable-component-update", "--disable-sync"];

let browser;
const wrong = [];
const check = (holds, text) => { if (!holds) wrong.push(text); };

const pagesOf = (folder) => fs.readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".html"))
	.map((name) => path.join(folder, name));
const daysOf = (site) => pagesOf(site).filter((name) => /day0\d-[^/]*\/index\.html$/.test(name)).sort();

/* Pages that differ in more than the source they show. */
const kindsOf = (site) => {
	const isSource = (file) => fs.readFileSync(file, "utf8").includes('<body class="source">');
	const files = pagesOf(site).sort();
	const kinds = [isSource, (file) => file.endsWith("/run.html"), (file) => file.endsWith("/task.html"), () => true];
	const sorted = kinds.map(() => []);
	for (const file of files) sorted[kinds.findIndex((is) => is(file))].push(file);
	return sorted.flatMap((some, i) => i < 3 ? some.slice(0, 2) : some);
};

/* Opens a file; whatever the page complains about or asks of others is wrong. */
const open = async (file, options = {}) => {
	const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, ...options });
	page.setDefaultTimeout(20000);
	page.on("console", (message) => { if (message.type() === "error") wrong.push(`${file}: ${message.text()}`); });
	page.on("pageerror", (error) => wrong.push(`${file}: ${error.message}`));
	page.on("request", (request) => {
		if (!/^(file|data):/.test(request.url())) wrong.push(`${file} asks for ${request.url()}`);
	});
	await page.goto(pathToFileURL(file).href);
	return page;
};

/* What a player shows: everything but what flies. */
const shown = (page) => page.evaluate(() => {
	const root = document.querySelector(".ring-player").cloneNode(true);
	for (const element of root.querySelectorAll("circle.dot")) element.remove();
	return [...root.querySelectorAll("dd, .stage, .lanes, .buffers, .says")].map((part) => part.outerHTML).join("\n");
});

const counts = (page) => page.evaluate(() => Object.fromEntries(
	[...document.querySelectorAll(".ring-player [data-count]")].map((element) =>
		[element.dataset.count, Number(element.textContent.replace(/,/g, ""))])));

const checks = {
	/* Every page loads without complaint, and what it links to is there. */
	async links(site) {
		const ids = new Map();
		const links = [];
		for (const file of pagesOf(site)) {
			const page = await open(file);
			const found = await page.evaluate(() => ({
				ids: [...document.querySelectorAll("[id]")].map((element) => element.id),
				links: [...document.querySelectorAll("a[href], link[href], script[src], img[src]")]
					.map((element) => element.getAttribute("href") ?? element.getAttribute("src")),
			}));
			ids.set(path.resolve(file), found.ids);
			for (const link of found.links) links.push([file, link]);
			await page.close();
		}
		for (const [file, link] of links) {
			if (/^(https?|mailto|data):/.test(link)) continue;
			check(!link.startsWith("/"), `${file}: ${link} does not work under another path`);
			const [name, anchor] = link.split("#");
			const target = name ? path.resolve(path.dirname(file), decodeURIComponent(name)) : path.resolve(file);
			check(fs.existsSync(target) && fs.statSync(target).isFile(), `${file}: there is no ${link}`);
			if (anchor && ids.has(target))
				check(ids.get(target).includes(decodeURIComponent(anchor)), `${file}: nothing has the id of ${link}`);
		}
		check(links.length > 100, `only ${links.length} links were found`);
	},

	/* Each day's player plays to its end, and has then counted what ringtrace counts. */
	async plays(site) {
		for (const file of daysOf(site)) {
			const page = await open(file);
			await page.selectOption(".ring-player select", "64");
			await page.click(".ring-player .play");
			await page.waitForFunction(() => {
				const { player } = document.querySelector(".ring-player");
				return player.current === player.run.events.length - 1 && !player.playing;
			});
			const lines = fs.readFileSync(file, "utf8").match(/<noscript>[^]*<\/noscript>/)[0];
			const sum = (column) => [...lines.matchAll(/^ {2}[a-z_]+ +(\d+) +(\d+)/gm)]
				.reduce((total, row) => total + Number(row[column]), 0);
			const has = await counts(page);
			check(has.sqes > 0 && has.sqes === sum(1), `${file}: ${has.sqes} SQEs, and ringtrace: ${sum(1)}`);
			check(has.cqes === sum(2), `${file}: ${has.cqes} CQEs, and ringtrace: ${sum(2)}`);
			const calls = Number(lines.match(/calls that entered the kernel: (\d+)/)[1]);
			check(has.calls === calls, `${file}: ${has.calls} system calls, and ringtrace: ${calls}`);
			await page.close();
		}
		check(daysOf(site).length === 5, "there are not five days");
	},

	/* A step back leads to exactly what was there before. */
	async back(site) {
		for (const file of daysOf(site)) {
			const page = await open(file, { reducedMotion: "reduce" });
			const last = await page.evaluate(() => document.querySelector(".ring-player").player.run.events.length - 1);
			const seek = (index) => page.evaluate((to) => document.querySelector(".ring-player").player.seek(to), index);
			for (let index = 0; index < last; index += Math.ceil(last / 25)) {
				await seek(index);
				const before = await shown(page);
				await page.click(".ring-player [aria-label='A step forward']");
				const after = await shown(page);
				await page.click(".ring-player [aria-label='A step back']");
				check(await shown(page) === before, `${file}: a step back to event ${index} shows something else`);
				check(after !== before, `${file}: event ${index + 1} changes nothing`);
			}
			await page.close();
		}
	},

	/* The keyboard alone suffices. */
	async keyboard(site) {
		const page = await open(daysOf(site)[0]);
		const at = () => page.evaluate(() => document.querySelector(".ring-player").player.current);
		const last = await page.evaluate(() => document.querySelector(".ring-player").player.run.events.length - 1);
		const has = async (key, index) => {
			await page.keyboard.press(key);
			check(await at() === index, `${key} leads to event ${await at()}, not to ${index}`);
		};
		const inPlayer = () => page.evaluate(() => Boolean(document.activeElement.closest(".ring-player")));
		for (let i = 0; i < 200 && !await inPlayer(); i++) await page.keyboard.press("Tab");
		check(await inPlayer(), "Tab does not lead to the player");
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
		check(await page.inputValue(".ring-player select") === "2", "+ does not make it faster");
		await page.focus(".ring-player input[type=range]");
		await page.keyboard.press("Space");
		check(await page.getAttribute(".ring-player .play", "aria-label") === "Pause", "space does not play");
		await page.keyboard.press("Space");
		check(await page.getAttribute(".ring-player .play", "aria-label") === "Play", "space does not pause");
	},

	/* What was chosen by a click is told in lines, which lead to its events. */
	async picks(site) {
		const page = await open(daysOf(site)[0]);
		await page.evaluate(() => {
			const { player } = document.querySelector(".ring-player");
			player.seek(player.run.crossings[0] + 1);
		});
		await page.click(".ring-player .chip >> nth=0");
		const lines = await page.locator(".ring-player .history button").allTextContents();
		check(lines.length === 2 && lines[0].includes("SQE") && lines[1].includes("CQE"), `a click tells: ${lines}`);
		await page.click(".ring-player .history button >> nth=1");
		check((await page.textContent(".ring-player .says > code")).includes("CQE"), "its line does not lead to its CQE");
	},

	/* A table in markdown has a header, also where there is nothing to be said in it. */
	async accessible(site) {
		for (const [i, file] of kindsOf(site).entries()) {
			const page = await open(file, { colorScheme: i % 2 || /day0/.test(file) ? "dark" : "light" });
			for (const scheme of /day0/.test(file) ? ["dark", "light"] : [undefined]) {
				if (scheme) await page.emulateMedia({ colorScheme: scheme });
				if (await page.$(".ring-player")) await page.evaluate(() => {
					const { player } = document.querySelector(".ring-player");
					player.seek(Math.floor(player.run.events.length / 2));
				});
				await page.evaluate(axe);
				const { violations } = await page.evaluate(() => window.axe.run({ preload: false, resultTypes: ["violations"], rules: { "empty-table-header": { enabled: false } } }));
				for (const violation of violations)
					wrong.push(`${file} (${scheme ?? ""}): ${violation.id}: ` +
						violation.nodes.slice(0, 3).map((node) => node.target.join(" ")).join(", "));
			}
			await page.close();
		}
	},

	/* Nothing is wider than the window, and no words of the player's picture lie on each other. */
	async overlaps(site) {
		for (const width of [390, 1440]) {
			for (const file of kindsOf(site)) {
				const page = await open(file, { viewport: { width, height: 900 }, reducedMotion: "reduce" });
				const excess = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
				check(excess <= 0, `${file}: ${excess} pixels wider than ${width}`);
				const events = await page.evaluate(() => document.querySelector(".ring-player")?.player.run.events.length ?? 0);
				for (let index = 0; index < events; index += Math.ceil(events / 12)) {
					const pairs = await page.evaluate(async (to) => {
						const root = document.querySelector(".ring-player");
						root.player.seek(to);
						await Promise.all(root.getAnimations({ subtree: true }).map((animation) => animation.finished));
						const pairs = [];
						for (const svg of root.querySelectorAll(".stage, .lanes")) {
							const words = [...svg.querySelectorAll("text:not(.letter)")].filter((text) => text.textContent);
							const boxes = words.map((text) => text.getBoundingClientRect());
							boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b, j) => {
								if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 4 && b.top < a.bottom - 4)
									pairs.push(`${words[i].textContent} / ${words[i + 1 + j].textContent}`);
							}));
						}
						return pairs;
					}, index);
					for (const pair of pairs) wrong.push(`${file}, ${width} wide, event ${index}: ${pair} overlap`);
				}
				await page.close();
			}
		}
	},

	async withoutScripts(site) {
		for (const file of daysOf(site)) {
			const page = await open(file, { javaScriptEnabled: false });
			check((await page.textContent("main")).includes("summary, rings: 1"), `${file}: the run's lines are not there`);
			check(await page.isVisible("noscript pre"), `${file}: the run's lines cannot be seen`);
			await page.close();
		}
	},

	/* A page that ringtrace has made: it opens in time, and says what it has not. */
	async large(file) {
		const begin = Date.now();
		const page = await open(file);
		await page.waitForSelector(".ring-player .stage");
		const opened = Date.now() - begin;
		check(opened < 3000, `it opens in ${opened} ms`);
		check(/This page has [\d,]+ of the run's [\d,]{7,} events/.test(await page.textContent(".ring-player")),
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
		check(slowest < 100, `a jump takes ${slowest} ms`);
		console.log(`${fs.statSync(file).size} bytes, opened in ${opened} ms, slowest jump ${slowest.toFixed(1)} ms`);
	},

	/* A page that ringtrace has made: the words that it shows at its end, and how often one occurs. */
	async says(file, ...texts) {
		const page = await open(file);
		await page.keyboard.press("End");
		const has = await page.textContent("body");
		const events = await page.evaluate(() => JSON.stringify(document.querySelector(".ring-player").player.run));
		for (const text of texts)
			check(has.includes(text) || events.includes(text), `it does not say: ${text}`);
	},
};

(async () => {
	const [name, ...rest] = process.argv.slice(2);
	browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
	try {
		await checks[name](...rest);
	} finally {
		await browser.close();
	}
	for (const text of wrong) console.log(text);
	process.exit(wrong.length > 0 ? 1 : 0);
})();

/* What the pages can do beyond being read: copy a command. Everything else works without this file. */
"use strict";

for (const pre of document.querySelectorAll("main pre")) {
	if (pre.scrollWidth > pre.clientWidth) pre.tabIndex = 0;

	const commands = [...pre.querySelectorAll(".command")].map((command) => command.textContent);
	const shell = pre.matches(".sourceCode.sh, .sourceCode.bash") && !document.body.matches(".source");
	if (commands.length === 0 && !shell) continue;
	if (!navigator.clipboard) continue;
	const button = document.createElement("button");
	button.type = "button";
	button.className = "copy";
	button.textContent = "Copy";
	button.setAttribute("aria-label", commands.length === 1 || shell ? "Copy the command" : "Copy the commands");
	button.addEventListener("click", async () => {
		await navigator.clipboard.writeText(commands.join("\n") || pre.textContent.trimEnd());
		button.textContent = "Copied";
		setTimeout(() => { button.textContent = "Copy"; }, 1500);
	});
	pre.parentNode.classList.add("with-copy");
	pre.after(button);
}

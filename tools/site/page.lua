-- For tools/site/build: links between texts become links between pages, commands can be told from what
-- they print, and a day's lesson gets its recorded run.

local source, files, run, watch

local function read(path)
	local file = io.open(path, "rb")
	local text = file and file:read("a")
	if file then file:close() end
	return text
end

-- "../common/./ring.c" seen from "day05-echo" is "common/ring.c".
local function resolve(folder, path)
	local parts = {}
	for part in (folder .. "/" .. path):gmatch("[^/]+") do
		if part == ".." then
			table.remove(parts)
		elseif part ~= "." then
			table.insert(parts, part)
		end
	end
	return table.concat(parts, "/")
end

local function folder_of(path)
	return path:match("^(.*)/[^/]*$") or ""
end

local function note(path)
	local list = io.open(files, "a")
	list:write(path, "\n")
	list:close()
end

-- A link to a text or a source in the tree becomes one to its page; nil: leave it.
local function page_link(target)
	local path, anchor = target:match("^([^#]*)(#?.*)$")
	if path == "" or path:match("^%a+:") then return nil end
	local whole = resolve(folder_of(source), path)
	if read(whole .. "/README.md") then
		return path:gsub("/?$", "/index.html") .. anchor
	elseif path:match("%.md$") then
		return (path:gsub("README%.md$", "index.html"):gsub("%.md$", ".html")) .. anchor
	elseif not read(whole) then
		return nil
	end
	note(whole)
	if path:match("%.svg$") or path:match("%.png$") or path:match("%.html$") or path:match("%.txt$") or
		path:match("%.csv$") then
		return path
	end
	return path .. ".html"
end

local function escape(text)
	return (text:gsub("&", "&amp;"):gsub("<", "&lt;"):gsub(">", "&gt;"))
end

-- "%20" is a blank.
local function decode(text)
	return (text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

-- Commands have a prompt; what they print has none.
local function console(text)
	local lines = {}
	for line in (text .. "\n"):gmatch("(.-)\n") do
		local command = line:match("^%$ (.*)$")
		if command then
			line = '<span class="prompt">$ </span><span class="command">' .. escape(command) .. "</span>"
		else
			line = escape(line)
		end
		table.insert(lines, line)
	end
	return table.concat(lines, "\n")
end

-- In what there is to watch: a button that goes to the event whose line the pattern fits.
local function find_button(link)
	local pattern = link.target:match("^run:(.*)")
	if not pattern then return nil end
	return pandoc.RawInline("html", '<button type="button" class="find" data-find="' ..
		escape(decode(pattern)):gsub('"', "&quot;") .. '">' .. escape(pandoc.utils.stringify(link.content)) .. "</button>")
end

local function section()
	local html = read(run .. ".html")
	local json = html:match('<script type="application/json">\n(.-)</script>')
	local text = pandoc.Div(pandoc.read(read(watch), "gfm").blocks)
	local blocks = pandoc.List(pandoc.walk_block(text, { Link = find_button }).content)
	blocks:insert(1, pandoc.Header(2, pandoc.Str("Watch it run"), pandoc.Attr("watch-it-run")))
	blocks:insert(pandoc.RawBlock("html", '<div class="ring-player"><script type="application/json">\n' .. json ..
		'</script><noscript><p>With JavaScript this run is played here. These are its lines:</p>' ..
		'<pre><code>' .. escape(read(run .. ".txt")) ..
		'</code></pre></noscript></div><p class="alone"><a href="run.html">The same run as a page of its own</a>, ' ..
		'made with <code>./ringtrace --html run.html PROGRAM</code>; yours can be had in the same way.</p>'))
	return blocks
end

-- A text whose headings leave a level out gets them without that gap.
local function level_headings(document)
	local used, level_of, level = {}, {}, 0
	for _, block in ipairs(document.blocks) do
		if block.t == "Header" then used[block.level] = true end
	end
	for i = 1, 6 do
		if used[i] then level = level + 1 end
		level_of[i] = level
	end
	for _, block in ipairs(document.blocks) do
		if block.t == "Header" then block.level = level_of[block.level] end
	end
	return document
end

return {
	{ Pandoc = level_headings },
	{ Meta = function(meta)
		source = pandoc.utils.stringify(meta.source)
		files = pandoc.utils.stringify(meta.files)
		run = meta.run and pandoc.utils.stringify(meta.run)
		watch = meta.watch and pandoc.utils.stringify(meta.watch)
	end },
	{
		Link = function(link)
			-- A folder that has no text of its own has no page.
			if link.target:match("/$") and not link.target:match("^%a+:") and not page_link(link.target) then
				return link.content
			end
			link.target = page_link(link.target) or link.target
			return link
		end,
		Image = function(image)
			page_link(image.src)
			return image
		end,
		CodeBlock = function(block)
			local class = block.classes[1] or "text"
			if class == "console" then
				return pandoc.RawBlock("html", '<div class="code console"><pre><code>' ..
					console(block.text) .. "</code></pre></div>")
			end
		end,
	},
	-- The run stands behind the section that says how to run the program.
	{ Pandoc = function(document)
		if not run then return nil end
		local place, found
		for i, block in ipairs(document.blocks) do
			if block.t == "Header" and block.level == 2 then
				if found and not place then place = i end
				if pandoc.utils.stringify(block):lower():match("^run it") then found = true end
			end
		end
		place = place or #document.blocks + 1
		for i, block in ipairs(section()) do
			document.blocks:insert(place + i - 1, block)
		end
		return document
	end },
}

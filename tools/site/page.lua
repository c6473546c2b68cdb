-- For tools/site/build: what a page has that its text has not. Links between texts become links between pages,
-- excerpts lead to their lines, tables say on a phone what each cell is, the words of the glossary have their
-- definition at hand, a day's lesson gets its recorded run, and the first page the days as cards.
--
-- It appends to the list `files` what else has to become a page, and to `documents` what there is to search.

local source, files, documents, glossary, run

local function read(path)
	local file = io.open(path, "rb")
	local text = file and file:read("a")
	if file then file:close() end
	return text
end

local function append(path, line)
	local list = assert(io.open(path, "a"))
	list:write(line, "\n")
	list:close()
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

-- From the page that is being made up to the site's root: "../" for each folder.
local function root()
	return (source:gsub("[^/]+/", "../"):gsub("[^/]+$", ""))
end

local function escape(text)
	return (text:gsub("&", "&amp;"):gsub("<", "&lt;"):gsub(">", "&gt;"):gsub('"', "&quot;"))
end

local function json(text)
	return '"' .. text:gsub('[%c"\\<]', function(character)
		return string.format("\\u%04x", character:byte())
	end) .. '"'
end

-- ---- Links ----

-- The page of a file: README.md is index.html, card.md is card.html, ring.c is ring.c.html.
local function page_of(path)
	if path:match("%.md$") then
		return (path:gsub("README%.md$", "index.html"):gsub("%.md$", ".html"))
	elseif path:match("%.svg$") or path:match("%.png$") or path:match("%.html$") or path:match("%.txt$") or
		path:match("%.csv$") then
		return path
	end
	return path .. ".html"
end

-- A link to a text or a source in the tree becomes one to its page; nil: leave it.
local function page_link(target)
	local path, anchor = target:match("^([^#]*)(#?.*)$")
	if path == "" or path:match("^%a+:") then return nil end
	local whole = resolve(folder_of(source), path)
	if read(whole .. "/README.md") then
		return path:gsub("/?$", "/index.html") .. anchor
	elseif not read(whole) then
		return nil
	end
	if not path:match("%.md$") then append(files, whole) end
	return page_of(path) .. anchor
end

local function link(element)
	-- A folder that has no text of its own has no page.
	if element.target:match("/$") and not element.target:match("^%a+:") and not page_link(element.target) then
		return element.content
	end
	element.target = page_link(element.target) or element.target
	return element
end

-- ---- Code ----

-- Commands have a prompt; what they print has none. Day 1's programs say of each line what it costs.
local function console(text)
	local lines = {}
	for line in (text .. "\n"):gmatch("(.-)\n") do
		local command = line:match("^%$ (.*)$")
		if command then
			line = '<span class="prompt">$ </span><span class="command">' .. escape(command) .. "</span>"
		elseif line:match("^system call +|") then
			line = '<span class="crosses">' .. escape(line) .. "</span>"
		elseif line:match("^memory +|") then
			line = '<span class="stays">' .. escape(line) .. "</span>"
		else
			line = escape(line)
		end
		table.insert(lines, line)
	end
	return pandoc.RawBlock("html", '<div class="code console"><pre><code>' .. table.concat(lines, "\n") ..
		"</code></pre></div>")
end

local function lines_of(text)
	local lines = {}
	for line in (text .. "\n"):gmatch("(.-)\n") do table.insert(lines, line) end
	return lines
end

-- In which line of a source an excerpt begins.
local function first_line(excerpt, whole)
	local wanted, lines = lines_of(excerpt), lines_of(whole)
	for begin = 1, #lines do
		local same = 0
		while wanted[same + 1] and wanted[same + 1] == lines[begin + same] do same = same + 1 end
		if same == #wanted or (same > 0 and wanted[same + 1]:match("^%s*%.%.%.$")) then return begin end
	end
end

-- The functions of a source, in the order of their lines.
local function functions_of(text)
	local found, lines = {}, lines_of(text)
	for number, line in ipairs(lines) do
		local name = line:match("^[%a_][%w_ *]-[ *]([%a_][%w_]*)%(") or line:match("^([%a_][%w_]*)%(")
		if name and not line:match(";%s*$") then table.insert(found, { name = name, line = number }) end
	end
	return found
end

-- The first event of a run that is about a function in some lines, or about the one that they belong to.
local function event_in_run(path, first, last)
	if not run then return nil end
	local event, name
	for _, entry in ipairs(functions_of(read(path))) do
		if entry.line > last or (event and entry.line > first) then break end
		event, name = run.by[entry.name], entry.name
	end
	return event, name
end

-- What stands over an excerpt: where it comes from, and where it can be seen at work.
local function excerpt(block, path)
	local text = read(path)
	local line = text and first_line(block.text, text)
	block.classes = { "c" }
	if not line then return block end
	append(files, path)
	local href = root() .. path .. ".html#L" .. line
	local words = '<p class="from"><a href="' .. href .. '">' .. path .. ", line " .. line .. "</a>"
	local event, name = event_in_run(path, line, line + #lines_of(block.text))
	if event then
		words = words .. ' <a class="watch" href="#e=' .. event .. '">▶ ' .. name .. "() in the run</a>"
	end
	return { pandoc.RawBlock("html", words .. "</p>"), block }
end

local function code_block(block)
	local class = block.classes[1] or "text"
	if class == "console" then return console(block.text) end
	if class:match("^c:") then return excerpt(block, class:sub(3)) end
end

-- An option does not break behind its hyphens, nor does a short command.
local function code(element)
	local words = escape(element.text):gsub("[^ ]+", function(word)
		if #word > 40 or not word:match("%-") then return nil end
		return '<span class="whole">' .. word .. "</span>"
	end)
	return pandoc.RawInline("html", "<code>" .. words .. "</code>")
end

-- ---- Tables ----

-- On a phone a row is a list, in which each cell says what its column is. Where the first cell is empty, the one above
-- goes on, and in a list that has to be said.
local function label_cells(element)
	local heads, above = {}, nil
	for _, cell in ipairs(element.head.rows[1] and element.head.rows[1].cells or {}) do
		table.insert(heads, pandoc.utils.stringify(cell.contents))
	end
	for _, row in ipairs(element.bodies[1].body) do
		for i, cell in ipairs(row.cells) do
			cell.attr = pandoc.Attr("", {}, heads[i] and heads[i] ~= "" and { ["data-label"] = heads[i] } or {})
		end
		local first = row.cells[1]
		if #first.contents > 0 then
			above = first.contents
		elseif above then
			first.contents = { pandoc.Plain({ pandoc.Span(pandoc.utils.blocks_to_inlines(above), pandoc.Attr("", { "again" })) }) }
		end
	end
	if #element.colspecs >= 4 then element.attr = pandoc.Attr("", { "wide" }) end
	return element
end

-- ---- The days, as cards ----

local function title_of(path)
	return (read(path):match("# ([^\n]*)"):gsub("`", ""))
end

-- A table whose rows begin with a link to a day becomes cards, with the problem that the day begins with. Its links
-- have become links between pages by now, as far as there is such a day.
local function cards(element)
	local made = {}
	for _, row in ipairs(element.bodies[1].body) do
		local problem = pandoc.utils.stringify(row.cells[2].contents)
		local target
		pandoc.walk_block(pandoc.Div(row.cells[1].contents), { Link = function(found) target = found.target end })
		local number = target and target:match("^day0*(%d+)%-")
		if not number then return nil end
		local lesson = target:match("^(.*)index%.html$")
		local title = lesson and title_of(lesson .. "README.md"):gsub("^Day %d+: ", "") or
			pandoc.utils.stringify(row.cells[3].contents)
		table.insert(made, "<li>" .. (lesson and '<a href="' .. target .. '">' or "<div>") .. "<small>Day " .. number ..
			"</small><strong>" .. escape(title) .. "</strong><span>" .. escape(problem) .. "</span>" ..
			(lesson and "</a>" or "</div>") .. "</li>")
	end
	return #made > 0 and pandoc.RawBlock("html", '<ul class="cards">' .. table.concat(made, "\n") .. "</ul>") or nil
end

-- ---- The words of the glossary ----

-- Words that mostly stand for something else in a sentence.
local ORDINARY = { link = 1, short = 1, turn = 1, pass = 1, advance = 1, reserve = 1, register = 1, edge = 1, level = 1,
	drain = 1, drained = 1, client = 1, table = 1, thread = 1 }

local function anchor_of(heading)
	return (heading:lower():gsub("[^%w_ %-]", ""):gsub(" ", "-"))
end

local function read_glossary()
	local terms = {}
	for heading in (read("docs/glossary.md") or ""):gmatch("\n### ([^\n]+)") do
		heading = heading:gsub("`", "")
		local anchor = anchor_of(heading)
		for term in heading:gmatch("[^,]+") do
			term = term:gsub("^ +", ""):gsub(" *%(.*", "")
			if not ORDINARY[term:lower()] then terms[term:lower()] = anchor end
		end
	end
	return terms
end

-- The words from inlines[i] on, `count` of them, as the glossary would have them; and what stands around them.
local function words_at(inlines, i, count)
	local words = {}
	for k = 0, count - 1 do
		local word, space = inlines[i + 2 * k], inlines[i + 2 * k + 1]
		if not word or word.t ~= "Str" then return nil end
		if k < count - 1 and not (space and (space.t == "Space" or space.t == "SoftBreak")) then return nil end
		table.insert(words, word.text)
	end
	local before, term, after = table.concat(words, " "):match("^([(\"“]*)(.-)([.,;:!?)\"”]*)$")
	return term, before, after
end

-- The first time that a page uses a word of the glossary, it leads there.
local function mark_terms(inlines, used)
	local made, i = pandoc.List(), 1
	while inlines[i] do
		local skip
		for count = 3, 1, -1 do
			local term, before, after = words_at(inlines, i, count)
			local anchor = term and (glossary[term:lower()] or glossary[term:lower():gsub("s$", "")])
			if anchor and not used[anchor] then
				used[anchor] = true
				if before ~= "" then made:insert(pandoc.Str(before)) end
				made:insert(pandoc.Link({ pandoc.Str(term) }, root() .. "docs/glossary.html#" .. anchor, "",
					pandoc.Attr("", { "term" })))
				if after ~= "" then made:insert(pandoc.Str(after)) end
				skip = 2 * count - 1
				break
			end
		end
		if not skip then made:insert(inlines[i]) end
		i = i + (skip or 1)
	end
	return made
end

local function mark_blocks(blocks)
	local used = {}
	local function paragraph(element)
		element.content = mark_terms(element.content, used)
		return element
	end
	local made = pandoc.List()
	for _, block in ipairs(blocks) do
		made:insert(block.t == "Header" and block or
			pandoc.walk_block(pandoc.Div({ block }), { Para = paragraph, Plain = paragraph }).content[1])
	end
	return made
end

-- The glossary's own page makes what the others show.
local function write_definitions(blocks)
	local made, term = {}, nil
	local parts = {}
	for _, block in ipairs(blocks) do
		if block.t == "Header" then
			term = block.identifier
		elseif term then
			parts[term] = (parts[term] or "") .. pandoc.write(pandoc.Pandoc({ block }), "html")
		end
	end
	for id, html in pairs(parts) do table.insert(made, json(id) .. ":" .. json(html)) end
	table.sort(made)
	return "window.definitions = {" .. table.concat(made, ",\n") .. "};\n" ..
		"window.definitionsBase = document.currentScript.src.replace(/assets.[^/]*$/, 'docs/');\n"
end

-- ---- The run ----

-- run.by: the first event of each function that prepares a request, or, for on_X, the first completion of the
-- operation X, which such a function is there for.
local function read_run(path, day)
	local found = { json = read(path .. ".json"), names = read(path .. ".names"), by = {}, functions = {}, chapters = {} }
	local number, operations = 0, {}
	for line in found.json:gmatch("\n(%[[^\n]*)") do
		number = number + 1
		local request, operation, rest = line:match('^%[%d+,%d+,"sqe","[^"]*",(%d+),"([%w_]+)",(.*)%],?$')
		local completed = line:match('^%[%d+,%d+,"cqe","[^"]*",(%d+)')
		local name = rest and rest:match('^"[^"]*","[^"]*","([%w_]+)"$')
		if request then operations[request] = operation end
		if completed and operations[completed] and next(found.by) then name = "on_" .. operations[completed] end
		if name and not found.by[name] then found.by[name] = number end
	end
	for at in (read(path .. ".at") or ""):gmatch("%d+") do table.insert(found.chapters, { at = tonumber(at) }) end
	-- Where the functions are: in the day's program, or in common/.
	local program = found.json:match('"program":"%./[^/]*/([%w_-]+)')
	local sources = day .. "/" .. program .. ".c\n" .. pandoc.pipe("find", { "common", "-name", "*.c" }, "")
	for file in sources:gmatch("[^\n]+") do
		for _, entry in ipairs(functions_of(read(file))) do
			if found.by[entry.name] and not found.functions[entry.name] then
				found.functions[entry.name] = file .. ".html#L" .. entry.line
				append(files, file)
			end
		end
	end
	return found
end

-- The items of the list in runs/DAY.md, "[title](<run:pattern>) and a sentence", are the chapters.
local function chapters(text)
	local i, items = 0, nil
	for _, block in ipairs(text.blocks) do
		if block.t == "OrderedList" then items = block end
	end
	for _, item in ipairs(items.content) do
		i = i + 1
		local chapter = run.chapters[i]
		chapter.sentence = pandoc.utils.stringify(pandoc.Pandoc(item))
		pandoc.walk_block(pandoc.Div(item), { Link = function(found)
			if not found.target:match("^run:") then return nil end
			chapter.title = pandoc.utils.stringify(found.content)
		end })
	end
	return pandoc.walk_block(items, { Link = function(found)
		if not found.target:match("^run:") then return nil end
		found.target = "#e=" .. run.chapters[tonumber((found.target:match("^run:(%d+)")))].at
		return found
	end })
end

local function write_run(path)
	local list, functions = {}, {}
	for _, chapter in ipairs(run.chapters) do
		table.insert(list, "[" .. chapter.at - 1 .. "," .. json(chapter.title) .. "," .. json(chapter.sentence) .. "]")
	end
	for name, href in pairs(run.functions) do table.insert(functions, json(name) .. ":" .. json(href)) end
	table.sort(functions)
	local file = assert(io.open(path, "w"))
	file:write("window.ringRun = ", (run.json:gsub("}%s*$", "")), ',\n"names":{', run.names, '},\n"chapters":[',
		table.concat(list, ",\n"), '],\n"functions":{', table.concat(functions, ","), "},\n",
		'"base":document.currentScript.src.replace(/[^/]*.[^/]*$/, "")};\n') -- the site's root: run.js is in a folder of it
	file:close()
end

local PLAYER = '<div class="ring-player"%s><p class="waiting">The recorded run is loaded here.</p>' ..
	'<noscript><p>JavaScript plays this run. <a href="%srun.txt">These are its lines</a>, as ringtrace prints ' ..
	"them.</p></noscript></div>"

local function section(watch)
	local blocks, number = pandoc.List(), 0
	-- A link's pattern is for finding its event, which has been done: what counts is which of them it is.
	local text = pandoc.walk_block(pandoc.Div(pandoc.read(read(watch), "gfm").blocks), { Link = function(found)
		if not found.target:match("^run:") then return nil end
		number = number + 1
		found.target = "run:" .. number
		return found
	end }).content
	blocks:insert(pandoc.Header(2, pandoc.Str("Watch it run"), pandoc.Attr("watch-it-run")))
	local tour = chapters({ blocks = text })
	for _, block in ipairs(text) do
		if block.t ~= "OrderedList" then blocks:insert(block) end
	end
	blocks:insert(pandoc.Div({ tour }, pandoc.Attr("", { "tour" })))
	blocks:insert(pandoc.RawBlock("html", PLAYER:format("", "") .. '<p class="alone"><a href="run.html">The same run as ' ..
		'a page of its own</a>, made with <code>./ringtrace --html run.html PROGRAM</code>. Make one of your program!</p>'))
	return blocks
end

-- The run stands behind the section that says how to run the program.
local function insert_run(blocks)
	local place, found
	for i, block in ipairs(blocks) do
		if block.t == "Header" and block.level == 2 then
			if found and not place then place = i end
			if pandoc.utils.stringify(block):lower():match("^run it") then found = true end
		end
	end
	place = place or #blocks + 1
	for i, block in ipairs(run.section) do blocks:insert(place + i - 1, block) end
end

-- ---- The first page ----

-- Day 1's run stands in the place of the picture at the top, or before the first section.
local function insert_first_run(blocks)
	for i, block in ipairs(blocks) do
		local is_picture
		pandoc.walk_block(block, { Image = function() is_picture = true end })
		if is_picture or (block.t == "Header" and block.level > 1) then
			if is_picture then blocks:remove(i) end -- which is an animation of the same
			blocks:insert(i, pandoc.RawBlock("html", PLAYER:format(" data-autoplay", "day01-setup/") ..
				'<p class="alone">Day 1\'s program, recorded: four requests, one crossing. ' ..
				'<a href="day01-setup/index.html#watch-it-run">Day 1</a> explains it, and every day has its run.</p>'))
			return
		end
	end
end

-- ---- Search ----

local function document(anchor, heading, text)
	append(documents, string.format('{"page":%s,"anchor":%s,"heading":%s,"text":%s}', json(page_of(source)), json(anchor),
		json(heading), json(text:gsub("%s+", " "))))
end

-- A row leads to what its first link leads to, if that is in its page; or else it can be linked to itself.
local function cells_of(row)
	return row.cells:map(function(cell) return pandoc.utils.stringify(cell.contents) end)
end

local function text_of(block)
	if block.t ~= "Table" then return pandoc.utils.stringify(block) end
	local rows = block.bodies[1].body:map(function(row) return table.concat(cells_of(row), " ") end)
	return table.concat(rows, ". ")
end

local rows, first_cell = {}, ""
local function write_row(row, anchor, heading)
	local cells = cells_of(row)
	if cells[1] == "" then cells[1] = first_cell end
	first_cell = cells[1]
	local id = anchor_of(cells[1])
	for _, cell in ipairs(row.cells) do
		pandoc.walk_block(pandoc.Div(cell.contents), { Link = function(found)
			if id ~= "" and found.target:match("^#") then anchor, id = found.target:sub(2), "" end
		end })
	end
	if id ~= "" and not rows[id] then
		rows[id] = true
		row.attr = pandoc.Attr("row-" .. id)
		anchor = "row-" .. id
	end
	document(anchor, cells[1] ~= "" and cells[1] or heading, table.concat(cells, " "))
end

-- Each section is found by itself, and so is each row of a table that is there to look things up in.
local function write_documents(blocks)
	local anchor, heading, text = "", "", {}
	local function flush()
		if heading ~= "" then document(anchor, heading, table.concat(text, " ")) end
		text = {}
	end
	for _, block in ipairs(blocks) do
		if block.t == "Header" then
			flush()
			anchor, heading = block.level > 1 and block.identifier or "", pandoc.utils.stringify(block)
		elseif block.t == "Table" and (source:match("^docs/") or source:match("^mistakes/")) then
			for _, row in ipairs(block.bodies[1].body) do write_row(row, anchor, heading) end
		elseif block.t == "CodeBlock" then
			if #block.text < 2000 and not (block.classes[1] or ""):match("^c") then table.insert(text, block.text) end
		elseif block.t ~= "RawBlock" then
			table.insert(text, text_of(block))
		end
	end
	flush()
end

-- ---- All of it, in order ----

-- A text whose headings leave a level out gets them without that gap.
local function level_headings(doc)
	local used, level_of, level = {}, {}, 0
	for _, block in ipairs(doc.blocks) do
		if block.t == "Header" then used[block.level] = true end
	end
	for i = 1, 6 do
		if used[i] then level = level + 1 end
		level_of[i] = level
	end
	for _, block in ipairs(doc.blocks) do
		if block.t == "Header" then block.level = level_of[block.level] end
	end
	return doc
end

local function describe(doc)
	for _, block in ipairs(doc.blocks) do
		if block.t == "Para" and #pandoc.utils.stringify(block) > 60 then
			local words = pandoc.utils.stringify(block)
			if #words > 200 then words = words:sub(1, 197):gsub("[^ ]*$", "") .. "…" end
			doc.meta.description = pandoc.MetaString(words)
			return
		end
	end
end

return {
	{ Pandoc = level_headings },
	{ Meta = function(meta)
		local function value(name) return meta[name] and pandoc.utils.stringify(meta[name]) end
		source, files, documents = value("source"), value("files"), value("documents")
		glossary = documents and source ~= "docs/glossary.md" and read_glossary() or {}
		if meta.run then
			run = read_run(value("run"), folder_of(source))
			run.section = section(value("watch"))
			write_run(value("run") .. ".js")
		end
	end },
	{ Pandoc = function(doc)
		describe(doc)
		if not documents then return doc end
		write_documents(doc.blocks)
		if next(glossary) then doc.blocks = mark_blocks(doc.blocks) end
		return doc
	end },
	{
		Link = link,
		Image = function(image)
			page_link(image.src)
			return image
		end,
		CodeBlock = code_block,
		Code = code,
	},
	{ Table = function(element) return source == "README.md" and cards(element) or label_cells(element) end },
	{ Pandoc = function(doc)
		if run then insert_run(doc.blocks) end
		if doc.meta["first-run"] then insert_first_run(doc.blocks) end
		if source == "docs/glossary.md" then
			local file = assert(io.open(pandoc.utils.stringify(doc.meta.definitions), "w"))
			file:write(write_definitions(doc.blocks))
			file:close()
		end
		return doc
	end },
}

"""A local page where one drops a clip and watches boxes appear with and without prompts.

`serve.py` starts it, `server.py` answers the browser, `jobs.py` holds the clips, `lanes.py` and
`detect.py` look at them; `page.html`, `page.css`, `page.js` and `view.js` are what the browser gets.
"""

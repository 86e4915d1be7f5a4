// Starts ReDoc. External, because the page's policy allows no inline script.
(() => {
  "use strict";

  // ReDoc mixes colours itself, so that it needs values, not CSS variables.
  const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const sans = token("--sans");

  const theme = {
    colors: {
      primary: { main: token("--accent") },
      text: { primary: token("--ink"), secondary: token("--soft") },
    },
    schema: { nestedBackground: token("--ground") },
    sidebar: { backgroundColor: token("--ground"), textColor: token("--ink"), activeTextColor: token("--accent"), width: "270px" },
    rightPanel: { backgroundColor: "#16211f", textColor: "#e7eeeb" },
    codeBlock: { backgroundColor: "#0e1716" },
    fab: { backgroundColor: token("--accent"), color: token("--accent-ink") },
    typography: {
      fontFamily: sans,
      fontSize: "15px",
      lineHeight: "1.6",
      headings: { fontFamily: sans, fontWeight: "640" },
      code: { fontFamily: token("--mono"), color: token("--accent"), backgroundColor: token("--accent-wash") },
      links: { color: token("--accent"), visited: token("--accent"), hover: token("--ink") },
    },
  };

  // Relative to this page, so that it also works behind a path prefix.
  const url = new URL("openapi.json", document.baseURI).href;
  Redoc.init(url, { scrollYOffset: ".site-header", nativeScrollbars: true, theme }, document.getElementById("redoc-page"));
})();

// Sets a new password with the token of a mailed link. External, because the page's policy allows no inline script.
(() => {
  "use strict";

  const at = (id) => document.getElementById(id);
  const form = at("form");
  const message = at("message");
  const first = at("new-password");
  const second = at("repeated");
  const show = at("show");
  const send = at("send");

  // Relative to this page, so that it also works behind a path prefix.
  const endpoint = new URL("api/v1/auth/password/reset", document.baseURI);
  let token = null;

  const say = (kind, ...sentences) => {
    message.dataset.kind = kind;
    message.replaceChildren(
      ...sentences.map((sentence) => {
        const line = document.createElement("p");
        line.textContent = sentence; // never markup: some of it comes from the server
        return line;
      }),
    );
  };

  const mark = (...wrong) => {
    for (const field of [first, second]) {
      if (wrong.includes(field)) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
    }
    wrong[0]?.focus();
  };

  // The link can't be used (any more): the form would be a promise that nobody keeps.
  const end = (kind, ...sentences) => {
    token = null;
    form.reset();
    reveal();
    form.hidden = true;
    say(kind, ...sentences);
    message.focus();
  };

  // The token stands in the fragment, which no server is sent. It is taken out of the address bar at once, so that
  // neither the history nor a screenshot has it; a reload therefore needs the link again.
  const mailed = () => new URLSearchParams(location.hash.slice(1)).get("token");
  const begin = () => {
    token = mailed();
    if (location.hash) history.replaceState(null, "", location.pathname + location.search);
    if (!token) {
      end("problem", "This page works only with the link from the mail, and there is no token in its address.",
        "Open that link again, or ask for a new one where you wanted to log in.");
      return;
    }
    message.replaceChildren();
    form.hidden = false;
    first.focus();
  };

  const reveal = () => {
    for (const field of [first, second]) field.type = show.checked ? "text" : "password";
  };

  // The sentences of a problem document (RFC 9457); a proxy in between answers with something else.
  const explained = async (answer) => {
    const problem = await answer.json().catch(() => null);
    const errors = Array.isArray(problem?.errors) ? problem.errors : [];
    const sentences = [problem?.detail, ...errors.map((error) => error.message)].filter(
      (sentence) => typeof sentence === "string" && sentence,
    );
    const wait = Number(answer.headers.get("Retry-After"));
    if (wait > 0) sentences.push(`Try again in ${wait} ${wait === 1 ? "second" : "seconds"}.`);
    return {
      sentences: sentences.length ? [...new Set(sentences)] : [`The server answered with status ${answer.status}.`],
      isLink: answer.status === 400 || errors.some((error) => error.loc?.includes("token")),
      isPassword: errors.some((error) => error.loc?.includes("new_password")),
    };
  };

  const post = () =>
    fetch(endpoint, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify({ token, new_password: first.value }),
      credentials: "omit",
      redirect: "error",
      cache: "no-store",
    });

  const submit = async () => {
    const answer = await post();
    if (answer.status === 204) { // nothing else: a proxy's own page may be a 200
      end("done", "The password is changed, and every session has ended.", "You can log in with it now.");
      return;
    }
    const problem = await explained(answer);
    if (problem.isLink) {
      end("problem", ...problem.sentences, "Ask for a new link where you wanted to log in.");
      return;
    }
    say("problem", ...problem.sentences);
    mark(...(problem.isPassword ? [first] : []));
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (send.disabled) return;
    if (first.value !== second.value) {
      say("problem", "The two passwords are not the same.");
      mark(second);
      return;
    }
    mark();
    say("waiting", "One moment …");
    send.disabled = true;
    try {
      await submit();
    } catch {
      say("problem", "No answer came, so it is not known whether the password was changed.",
        "Try again. If the link is refused then, log in with the new password.");
    } finally {
      send.disabled = false;
    }
  });

  show.addEventListener("change", reveal);
  // A link that is opened in this very tab changes the fragment only, and loads nothing.
  window.addEventListener("hashchange", () => mailed() && begin());
  begin();
})();

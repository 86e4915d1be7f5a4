// Starts Swagger UI. External, because the page's policy allows no inline script.
(() => {
  "use strict";

  // The bundle's dark theme hangs on a class; the page follows the system's setting, also when it changes.
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", follow);
  follow();

  window.ui = SwaggerUIBundle({
    // Relative to this page, so that it also works behind a path prefix.
    url: new URL("openapi.json", document.baseURI).href,
    dom_id: "#swagger-ui",
    layout: "BaseLayout",
    presets: [SwaggerUIBundle.presets.apis],
    validatorUrl: null,
    queryConfigEnabled: false,
    deepLinking: true,
    persistAuthorization: false,
    tryItOutEnabled: true,
    displayRequestDuration: true,
    filter: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
  });
})();

/** The house's import rules for the web; all of them are errors. */
module.exports = {
  forbidden: [
    { name: "no-cycles", severity: "error", comment: "A cycle hides who owns what.", from: {}, to: { circular: true } },
    {
      name: "feature-only-through-its-index",
      severity: "error",
      comment: "A feature's insides are its own; others use its index.",
      from: { path: "^features/([^/]+)/" },
      to: { path: "^features/([^/]+)/(?!index\\.ts$)", pathNot: "^features/$1/" },
    },
    {
      name: "pages-are-thin",
      severity: "error",
      comment: "A page only shows a feature through its index.",
      from: { path: "^app/" },
      to: { path: "^features/[^/]+/(?!index\\.ts$)" },
    },
    {
      name: "components-know-no-feature",
      severity: "error",
      from: { path: "^components/" },
      to: { path: "^(features|app)/" },
    },
    {
      name: "ui-knows-no-api",
      severity: "error",
      comment: "components/ui draws what it is given.",
      from: { path: "^components/ui/" },
      to: { path: "^lib/(realtime|api/(client|endpoints|stream))" },
    },
    { name: "lib-knows-nobody", severity: "error", from: { path: "^lib/" }, to: { path: "^(features|components|app)/" } },
    {
      name: "client-library-only-in-lib-api",
      severity: "error",
      from: { pathNot: "^lib/api/" },
      to: { path: "node_modules/openapi-fetch" },
    },
    { name: "not-to-unresolvable", severity: "error", from: {}, to: { couldNotResolve: true } },
    { name: "no-orphans", severity: "error", from: { orphan: true, pathNot: ["\\.d\\.ts$", "^app/"] }, to: {} },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "\\.test\\.ts$" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "require", "node", "default", "types"] },
  },
};

import jsxA11y from "eslint-plugin-jsx-a11y";
import reactHooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

const ONLY_LIB_API = "Only lib/api talks to the server.";

export default tseslint.config(
  { ignores: [".next-export/**", ".next/**", "out/**", "node_modules/**", "next-env.d.ts", "lib/api/schema.d.ts", "public/**", "*.config.*", ".dependency-cruiser.cjs"] },
  ...tseslint.configs.strict,
  jsxA11y.flatConfigs.strict,
  {
    files: ["**/*.{ts,tsx}"],
    plugins: { "react-hooks": reactHooks },
    rules: {
      ...reactHooks.configs.recommended.rules,
      "max-lines": ["error", { max: 250, skipBlankLines: true, skipComments: true }],
      "no-restricted-globals": ["error", { name: "fetch", message: ONLY_LIB_API }, { name: "EventSource", message: ONLY_LIB_API }],
      "no-restricted-syntax": [
        "error",
        { selector: "ExpressionStatement[directive='use server']", message: "The static export has no server." },
      ],
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/consistent-type-imports": "error",
    },
  },
  { files: ["lib/api/**"], rules: { "no-restricted-globals": "off" } },
);

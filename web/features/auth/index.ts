export { AccountMenu } from "./components/account-menu";
export { AuthGate } from "./components/auth-gate";
export { LoginPage } from "./components/login-page";
export { useMe } from "./use-me";

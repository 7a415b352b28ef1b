export { AccountMenu } from "./components/account-menu";
export { AuthGate } from "./components/auth-gate";
export { LoginPage } from "./components/login-page";

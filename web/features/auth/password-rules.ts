/** The rule for a password, as the server has it; shown while typing. */
export interface PasswordRule {
  words: string;
  met: boolean;
}

export const MIN_PASSWORD_LENGTH = 12;

export function passwordRules(password: string): PasswordRule[] {
  return [{ words: `At least ${MIN_PASSWORD_LENGTH} characters; a few words are fine`, met: password.length >= MIN_PASSWORD_LENGTH }];
}

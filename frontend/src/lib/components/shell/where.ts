/** Pages of their own beside the rail; everywhere else there are the conversations. */
export function isBesideChats(pathname: string): boolean {
  return /^\/(settings|workspaces|admin)(\/|$)/.test(pathname);
}

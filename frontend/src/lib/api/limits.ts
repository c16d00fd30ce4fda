/** Maximum lengths accepted by the server, in characters. */
export const MAX_TITLE = 120;
export const MAX_TOPIC = 500;
export const MAX_WORKSPACE_NAME = 80;

declare global {
  namespace App {}

  interface Window {
    /** What `app.html` has asked the server for, by path. */
    natterEarly?: Record<string, Promise<Response>>;
    /** One of the pages before signing in. */
    natterDoor?: boolean;
  }
}

export {};

declare global {
  namespace App {
    interface PageState {
      /** What lay over the page when its entry of the history was made. */
      layers?: string[];
    }
  }

  interface Window {
    /** Where the app stands on its host; see `address.ts`. */
    natterBase?: string;
    /** What `app.html` has asked the server for, by path. */
    natterEarly?: Record<string, Promise<Response>>;
    /** One of the pages before signing in. */
    natterDoor?: boolean;
  }
}

export {};

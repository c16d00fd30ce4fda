declare global {
  namespace App {
    interface PageState {
      /** Ids of the layers (dialogs, panels) that were open above the page when this history entry was created. */
      layers?: string[];
    }
  }

  interface Window {
    /** Base path of the app on its host; see `address.ts`. */
    natterBase?: string;
    /** Requests that `app.html` has already started, by path. */
    natterEarly?: Record<string, Promise<Response>>;
    /** Whether this is one of the sign-in pages. */
    natterAuthPage?: boolean;
  }
}

export {};

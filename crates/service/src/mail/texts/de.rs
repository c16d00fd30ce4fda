//! German.

use super::{Text, Texts};

pub(super) const TEXTS: Texts = Texts {
    verification: Text {
        subject: "Bestätige deine E-Mail-Adresse",
        before: &[
            "Mit dieser E-Mail-Adresse wurde auf {{ host }} ein Konto angelegt. Wenn du das warst, bestätige die Adresse:",
        ],
        action: "E-Mail-Adresse bestätigen",
        after: &[
            "Der Link funktioniert einmal und läuft in 24 Stunden ab. Auf einem Gerät, auf dem du nicht angemeldet bist, wirst du nach deinem Passwort gefragt.",
            "Wenn du das nicht warst, ignoriere diese E-Mail. Niemand erfährt, dass du sie bekommen hast.",
        ],
    },
    password_reset: Text {
        subject: "Setze dein Passwort zurück",
        before: &[
            "Für dein Konto auf {{ host }} wurde ein neues Passwort angefordert. Wenn du das warst, lege ein neues fest:",
        ],
        action: "Passwort zurücksetzen",
        after: &[
            "Der Link funktioniert einmal und läuft in einer Stunde ab. Mit dem neuen Passwort wirst du auf allen Geräten abgemeldet.",
            "Wenn du das nicht warst, ignoriere diese E-Mail. Dein Passwort bleibt unverändert.",
        ],
    },
    invitation: Text {
        subject: "Einladung in einen Arbeitsbereich",
        before: &[
            "Du wurdest in einen Arbeitsbereich auf {{ host }} eingeladen.",
            "{% if workspace %}Arbeitsbereich: „{{ workspace }}“. {% endif %}{% if inviter %}Eingeladen von: „{{ inviter }}“.{% endif %}",
        ],
        action: "Einladung ansehen",
        after: &[
            "Die Einladung gilt nur für diese E-Mail-Adresse und läuft am {{ time }} ab.",
            "Wenn du diese Person nicht kennst, ignoriere diese E-Mail.",
        ],
    },
    claim: Text {
        subject: "Ist das dein Konto?",
        before: &[
            "Jemand hat sich mit dieser E-Mail-Adresse über {{ provider }} bei {{ host }} angemeldet. Mit der Adresse gibt es schon ein Konto, sie wurde aber nie bestätigt.",
            "Wenn du das warst, übernimm das Konto:",
        ],
        action: "Konto übernehmen",
        after: &[
            "Der Link funktioniert einmal und läuft in einer Stunde ab. Beim Übernehmen wird das bisherige Passwort entfernt, und alle Geräte des Kontos werden abgemeldet.",
            "Wenn du das nicht warst, ignoriere diese E-Mail.",
        ],
    },
    new_device: Text {
        subject: "Neue Anmeldung bei deinem Konto",
        before: &[
            "Bei deinem Konto auf {{ host }} gab es eine Anmeldung von einem neuen Gerät oder Ort.",
            "Zeit: {{ time }}{% if address %}. IP-Adresse: {{ address }}{% endif %}{% if place %}. Ort: {{ place }}{% endif %}{% if user_agent %}. Gerät: {{ user_agent }}{% endif %}",
        ],
        action: "",
        after: &[
            "Wenn du das warst, musst du nichts tun.",
            "Wenn nicht, ändere dein Passwort in den Einstellungen und melde danach unter „Geräte“ alle anderen Geräte ab.",
        ],
    },
    password_changed: Text {
        subject: "Dein Passwort wurde geändert",
        before: &["Das Passwort für dein Konto auf {{ host }} wurde am {{ time }} geändert."],
        action: "",
        after: &[
            "Wenn du das warst, musst du nichts tun.",
            "Wenn nicht, setze dein Passwort sofort auf der Anmeldeseite zurück.",
        ],
    },
    sign_up_attempt: Text {
        subject: "Du hast schon ein Konto",
        before: &[
            "Jemand wollte mit dieser E-Mail-Adresse auf {{ host }} ein Konto anlegen, aber du hast schon eines.",
            "Wenn du das warst, melde dich an. Passwort vergessen? Auf der Anmeldeseite kannst du es zurücksetzen.",
        ],
        action: "",
        after: &["Wenn du das nicht warst, ignoriere diese E-Mail. An deinem Konto hat sich nichts geändert."],
    },
    footer: "Gesendet von Natter auf {{ host }}. Antworten auf diese E-Mail werden nicht gelesen.",
};

//! German.

use super::{Text, Texts};

pub(super) const TEXTS: Texts = Texts {
    verification: Text {
        subject: "Bestätige deine E-Mail-Adresse",
        before: &[
            "Jemand hat bei {{ host }} ein Konto mit dieser E-Mail-Adresse angelegt. Wenn du das warst, bestätige sie:",
        ],
        action: "Adresse bestätigen",
        after: &[
            "Der Link gilt 24 Stunden und einmal. Auf einem Gerät, auf dem du nicht angemeldet bist, wirst du nach deinem Passwort gefragt.",
            "Wenn du das nicht warst, tu nichts: Niemand erfährt, dass du diese Mail bekommen hast.",
        ],
    },
    password_reset: Text {
        subject: "Wähle ein neues Passwort",
        before: &[
            "Jemand hat für dein Konto bei {{ host }} ein neues Passwort angefordert. Wenn du das warst, wähle eines:",
        ],
        action: "Neues Passwort wählen",
        after: &[
            "Der Link gilt eine Stunde und einmal. Alle deine Geräte werden abgemeldet.",
            "Wenn du das nicht warst, tu nichts: Dein Passwort bleibt, wie es ist.",
        ],
    },
    invitation: Text {
        subject: "Einladung in einen Arbeitsbereich",
        before: &[
            "Du bist in einen Arbeitsbereich bei {{ host }} eingeladen.",
            "{% if workspace %}Arbeitsbereich: „{{ workspace }}“. {% endif %}{% if inviter %}Eingeladen von: „{{ inviter }}“.{% endif %}",
        ],
        action: "Einladung ansehen",
        after: &[
            "Die Einladung gilt bis {{ time }} und nur für diese E-Mail-Adresse.",
            "Wenn du nicht weißt, wer das ist, tu nichts.",
        ],
    },
    claim: Text {
        subject: "Ist das dein Konto?",
        before: &[
            "Jemand hat sich bei {{ host }} über {{ provider }} mit dieser E-Mail-Adresse angemeldet. Es gibt schon ein Konto mit der Adresse, aber niemand hat sie je bestätigt.",
            "Wenn du dich angemeldet hast, übernimm das Konto:",
        ],
        action: "Das ist mein Konto",
        after: &[
            "Der Link gilt eine Stunde und einmal. Das jetzige Passwort des Kontos und alle, die darin angemeldet sind, fliegen hinaus.",
            "Wenn du das nicht warst, tu nichts.",
        ],
    },
    new_device: Text {
        subject: "Neue Anmeldung in deinem Konto",
        before: &[
            "Jemand hat sich in deinem Konto bei {{ host }} angemeldet, von einem Gerät oder Ort, den wir noch nicht kannten.",
            "Zeit: {{ time }}{% if address %}. Adresse: {{ address }}{% endif %}{% if place %}. Ort: {{ place }}{% endif %}{% if user_agent %}. Gerät: {{ user_agent }}{% endif %}",
        ],
        action: "",
        after: &[
            "Wenn du das warst, ist nichts zu tun.",
            "Wenn nicht, ändere dein Passwort und melde alle anderen Geräte ab, in den Einstellungen unter Geräte.",
        ],
    },
    password_changed: Text {
        subject: "Dein Passwort wurde geändert",
        before: &["Das Passwort deines Kontos bei {{ host }} wurde geändert: {{ time }}."],
        action: "",
        after: &[
            "Wenn du das warst, ist nichts zu tun.",
            "Wenn nicht, fordere auf der Anmeldeseite sofort ein neues Passwort an.",
        ],
    },
    sign_up_attempt: Text {
        subject: "Du hast schon ein Konto",
        before: &[
            "Jemand wollte bei {{ host }} ein Konto mit dieser E-Mail-Adresse anlegen, aber du hast schon eines.",
            "Wenn du das warst, melde dich an; auf der Anmeldeseite kannst du ein neues Passwort anfordern.",
        ],
        action: "",
        after: &["Wenn du das nicht warst, tu nichts: Dein Konto bleibt, wie es ist."],
    },
    footer: "Diese Mail hat Natter bei {{ host }} verschickt. Antworten darauf liest niemand.",
};

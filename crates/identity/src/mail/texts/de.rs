//! German texts.

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
    welcome: Text {
        subject: "Du hast ein Konto auf {{ host }}",
        before: &[
            "Ein Admin von {{ host }} hat mit dieser E-Mail-Adresse ein Konto für dich angelegt. Lege ein Passwort fest:",
        ],
        action: "Passwort festlegen",
        after: &[
            "Der Link funktioniert einmal und läuft in 7 Tagen ab. Nutze danach „Passwort vergessen?“ auf der Anmeldeseite.",
            "Wenn du das nicht erwartet hast, ignoriere diese E-Mail.",
        ],
    },
    test: Text {
        subject: "E-Mails von {{ host }} kommen an",
        before: &[
            "Du hast auf {{ host }} eine Test-E-Mail angefordert. Sie ist angekommen, also kommen auch E-Mails an andere an.",
        ],
        action: "",
        after: &[],
    },
    invitation: Text {
        subject: "Einladung in einen Workspace",
        before: &[
            "Du wurdest in einen Workspace auf {{ host }} eingeladen.",
            "{% if workspace %}Workspace: „{{ workspace }}“. {% endif %}{% if inviter %}Eingeladen von: „{{ inviter }}“.{% endif %}",
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
    email_change_new: Text {
        subject: "Bestätige deine neue E-Mail-Adresse",
        before: &["Du möchtest diese E-Mail-Adresse für dein Konto auf {{ host }} verwenden. Bestätige sie:"],
        action: "E-Mail-Adresse bestätigen",
        after: &[
            "Der Link funktioniert einmal und läuft in 24 Stunden ab. Wenn deine bisherige Adresse bestätigt ist, muss die Änderung auch dort bestätigt werden.",
            "Wenn du das nicht warst, ignoriere diese E-Mail.",
        ],
    },
    email_change_current: Text {
        subject: "Bestätige die Änderung deiner E-Mail-Adresse",
        before: &[
            "Du möchtest die E-Mail-Adresse deines Kontos auf {{ host }} in {{ new_address }} ändern. Wenn du das warst, bestätige es auch hier:",
        ],
        action: "Änderung bestätigen",
        after: &[
            "Der Link funktioniert einmal und läuft in 24 Stunden ab.",
            "Wenn du das nicht warst, öffne den Link nicht. Ändere sofort dein Passwort in den Einstellungen: Das bricht die Änderung ab.",
        ],
    },
    email_changed: Text {
        subject: "Deine E-Mail-Adresse wurde geändert",
        before: &[
            "Die E-Mail-Adresse deines Kontos auf {{ host }} wurde am {{ time }} in {{ new_address }} geändert. Ab jetzt gehen E-Mails dorthin, und du meldest dich damit an.",
        ],
        action: "",
        after: &[
            "Wenn du das warst, musst du nichts tun.",
            "Wenn nicht, wende dich sofort an einen Admin von {{ host }}.",
        ],
    },
    suspended: Text {
        subject: "Dein Konto ist gesperrt",
        before: &[
            "Ein Admin von {{ host }} hat dein Konto am {{ time }} gesperrt. Du kannst dich nicht anmelden, und Programme mit deinen API-Schlüsseln werden abgewiesen.",
        ],
        action: "",
        after: &[
            "Es wurde nichts gelöscht. Wenn du das für einen Fehler hältst, wende dich an einen Admin von {{ host }}.",
        ],
    },
    restored: Text {
        subject: "Dein Konto ist wieder freigegeben",
        before: &[
            "Ein Admin von {{ host }} hat dein Konto wieder freigegeben. Alles ist noch so, wie du es verlassen hast, und deine API-Schlüssel funktionieren wieder.",
        ],
        action: "",
        after: &["Melde dich wie gewohnt an."],
    },
    second_factor_removed: Text {
        subject: "Die Zwei-Faktor-Authentifizierung wurde entfernt",
        before: &[
            "Ein Admin von {{ host }} hat am {{ time }} die Zwei-Faktor-Authentifizierung von deinem Konto entfernt. Deine Wiederherstellungscodes funktionieren nicht mehr.",
        ],
        action: "",
        after: &[
            "Wenn du darum gebeten hast, melde dich an und richte sie in den Einstellungen neu ein.",
            "Wenn nicht, ändere sofort dein Passwort und informiere einen Admin von {{ host }}.",
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
    paid: Text {
        subject: "Rechnung {{ number }}",
        before: &[
            "Vielen Dank. Wir haben {{ amount }} für{% if plan %} {{ plan }}{% else %} deinen Tarif{% endif %} auf {{ host }} erhalten. Deine Rechnungsnummer ist {{ number }}.",
        ],
        action: "Zahlung und Rechnung ansehen",
        after: &[],
    },
    refunded: Text {
        subject: "Erstattung über {{ amount }}",
        before: &[
            "Wir haben dir {{ amount }} für deine Zahlung auf {{ host }} erstattet. Die Nummer der Gutschrift ist {{ number }}.",
        ],
        action: "Zahlung ansehen",
        after: &["Es kann einige Tage dauern, bis das Geld bei deiner Bank ankommt."],
    },
    charge_failed: Text {
        subject: "Deine Zahlung wurde abgelehnt",
        before: &[
            "Wir konnten {{ amount }} für{% if plan %} {{ plan }}{% else %} deinen Tarif{% endif %} auf {{ host }} nicht einziehen.",
            "{% if again %}Wir versuchen es am {{ again }} noch einmal. {% endif %}Dein Tarif gilt bis {{ time }}.",
        ],
        action: "Jetzt bezahlen",
        after: &["Wenn du den Tarif nicht behalten willst, musst du nichts tun."],
    },
    plan_unpaid: Text {
        subject: "Dein Tarif ist noch nicht bezahlt",
        before: &[
            "Der Abrechnungszeitraum von{% if plan %} {{ plan }}{% else %} deinem Tarif{% endif %} auf {{ host }} ist abgelaufen. Der Tarif gilt noch bis {{ time }}.",
        ],
        action: "Jetzt bezahlen",
        after: &["Wenn du den Tarif nicht behalten willst, musst du nichts tun."],
    },
    plan_ended: Text {
        subject: "Dein Tarif ist beendet",
        before: &[
            "{% if plan %}{{ plan }}{% else %}Dein Tarif{% endif %} auf {{ host }} ist beendet. Dein Konto, deine Chats und gekaufte Credits bleiben dir erhalten.",
        ],
        action: "Tarif auswählen",
        after: &[],
    },
    plan_expiring: Text {
        subject: "Dein Tarif endet bald",
        before: &[
            "{% if plan %}{{ plan }}{% else %}Dein Tarif{% endif %} auf {{ host }} endet am {{ time }}. Um ihn zu behalten, bezahle den nächsten Zeitraum{% if amount %}: {{ amount }}{% endif %}.",
        ],
        action: "Jetzt bezahlen",
        after: &["Es wird nichts automatisch abgebucht."],
    },
    plan_renewing: Text {
        subject: "Dein Tarif verlängert sich bald",
        before: &[
            "{% if plan %}{{ plan }}{% else %}Dein Tarif{% endif %} auf {{ host }} verlängert sich am {{ time }}. {% if amount %}{{ amount }} werden über deine gespeicherte Zahlungsmethode eingezogen.{% endif %}",
        ],
        action: "Tarif verwalten",
        after: &["Wenn du das nicht willst, kündige vorher. Der Tarif gilt dann bis zum Ende des Zeitraums."],
    },
    trial_ending: Text {
        subject: "Deine Testphase endet bald",
        before: &[
            "Deine Testphase für{% if plan %} {{ plan }}{% else %} den Tarif{% endif %} auf {{ host }} endet am {{ time }}. Es wird nichts abgebucht.",
        ],
        action: "Tarif behalten",
        after: &[],
    },
    credits_low: Text {
        subject: "Deine Credits gehen zur Neige",
        before: &[
            "{% if workspace %}Der Workspace {{ workspace }} auf {{ host }} hat noch {{ credits }} Credit{% if credits != '1' %}s{% endif %}. Sind sie verbraucht, bezahlen seine Mitglieder mit ihren eigenen.{% else %}Du hast auf {{ host }} noch {{ credits }} Credit{% if credits != '1' %}s{% endif %}.{% endif %}",
        ],
        action: "Credits kaufen",
        after: &[
            "Auf derselben Seite kannst du festlegen, wann du diese E-Mail bekommst, und das automatische Aufladen einschalten.",
        ],
    },
    top_up_stopped: Text {
        subject: "Credits werden nicht mehr automatisch gekauft",
        before: &[
            "{% if why == 'declined' %}Deine Zahlung wurde abgelehnt, deshalb ist das automatische Aufladen auf {{ host }} aus. Es wird nichts mehr abgebucht.{% elif why == 'method_removed' %}Das automatische Aufladen auf {{ host }} ist aus, weil die Zahlungsmethode dafür entfernt wurde.{% elif why == 'plan_withdrawn' %}Das automatische Aufladen auf {{ host }} ist aus, weil es die Credits zu diesem Preis nicht mehr gibt.{% else %}Das automatische Aufladen auf {{ host }} hat dein Limit für diesen Monat erreicht. Nächsten Monat geht es weiter.{% endif %}",
        ],
        action: "Credits ansehen",
        after: &[],
    },
    missed: Text {
        subject: "{{ count }} ungelesen auf {{ host }}",
        before: &["Das hast du verpasst:", "{{ lines }}"],
        action: "Aktivität öffnen",
        after: &[
            "Öffne zum Antworten Natter. Antworten auf diese E-Mail erreichen niemanden.",
            "Du bekommst eine E-Mail für alles, was du verpasst. Ändere das in den Einstellungen unter Benachrichtigungen.",
        ],
    },
    announcement: Text {
        subject: "Eine Ankündigung auf {{ host }}",
        before: &["{{ title }}", "{{ body }}"],
        action: "Natter öffnen",
        after: &[],
    },
    footer: "Gesendet von Natter auf {{ host }}. Antworten auf diese E-Mail werden nicht gelesen.",
};

//! Manual page of the program.

use clap::Command;
use clap_mangen::Man;

/// Manual page (roff) of the program and all of its commands. [`Man::render`] would refer to a page
/// of its own for each command.
pub fn page(program: Command) -> anyhow::Result<String> {
    // Each `help` command would have all commands below it once more.
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let mut page = Vec::new();
    let man = Man::new(program.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    render_commands(&program, &mut page)?;
    man.render_version_section(&mut page)?;
    Ok(String::from_utf8(page)?)
}

/// Renders the visible commands below `parent`, each as a section with subsections.
fn render_commands(parent: &Command, page: &mut Vec<u8>) -> anyhow::Result<()> {
    for command in parent.get_subcommands().filter(|command| !command.is_hide_set()) {
        if !command.has_subcommands() {
            let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
            page.extend(format!(".SH \"{name}\"\n").into_bytes());
            let man = Man::new(command.clone());
            let mut sections = Vec::new();
            man.render_description_section(&mut sections)?;
            man.render_synopsis_section(&mut sections)?;
            man.render_options_section(&mut sections)?;
            page.extend(subsections(&String::from_utf8(sections)?).into_bytes());
        }
        render_commands(command, page)?;
    }
    Ok(())
}

/// Turns the sections of a page into subsections.
fn subsections(sections: &str) -> String {
    let line = |line: &str| line.strip_prefix(".SH ").map_or_else(|| line.to_owned(), |title| format!(".SS {title}"));
    sections.lines().map(|text| line(text) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn describes_all_commands_in_one_page() {
        let page = page(Cli::command()).unwrap();
        for section in ["natter move", "natter admin users create", "natter completion"] {
            assert!(page.contains(&format!("\n.SH \"{section}\"\n")), "{section}");
        }
        let count = |command: &str| page.matches(&format!(".SH \"{command}")).count();
        assert_eq!((count("natter move"), count("natter help"), count("natter admin help")), (1, 0, 0), "{page}");
        // References to other pages end with their section.
        assert!(!page.contains("(1)"), "{page}");
    }
}

"""Brings the README and what the pages link to into the site, where links work as they do in the repository."""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^]]*)\]\((?P<target>(?!\w+:|#)[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the README, and then whatever a page links to outside of docs/."""
    project = Path(config.config_file_path).parent
    wanted = ["README.md", *(f"docs/{page.src_uri}" for page in files.documentation_pages())]
    for path in wanted:  # grows while it is read
        source = project / path
        if files.get_file_from_path(in_site(path)) is None:
            files.append(File.generated(config, in_site(path), abs_src_path=str(source)))
        if source.suffix == ".md":
            links = LINK.finditer(source.read_text(encoding="utf-8"))
            found = {linked(project, path, link["target"]) for link in links} - {None, *wanted}
            wanted += sorted(map(str, found))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links to where their targets are in the site. A link to a folder without a README becomes plain text."""
    project = Path(config.config_file_path).parent
    here = page.file.src_uri
    path = here if (project / here).exists() else f"docs/{here}"

    def moved(link: re.Match[str]) -> str:
        target = linked(project, path, link["target"])
        if target is None:
            return link["text"]
        there = posixpath.relpath(in_site(target), posixpath.dirname(here) or ".")
        return f"{link['image']}[{link['text']}]({there}{link['anchor'] or ''})"

    return LINK.sub(moved, markdown)


def linked(project: Path, path: str, target: str) -> str | None:
    """The file that a page links to, by its path in the project; of a folder its README, if it has one."""
    found = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if (project / found).is_dir():
        found = f"{found}/README.md"
        return found if (project / found).exists() else None
    return found


def in_site(path: str) -> str:
    """Where a file of the project is in the site."""
    return path.removeprefix("docs/")

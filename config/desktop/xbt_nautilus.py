"""Send to contact: an entry in the context menu of Nautilus. Needs nautilus-python (Debian: python3-nautilus)."""

import subprocess

from gi.repository import GObject, Nautilus

COMMAND = "xbtctl"


class SendToContact(GObject.GObject, Nautilus.MenuProvider):
    """Offers the entry for files and folders that lie on this computer."""

    # Nautilus 43 and newer give the files only, older ones a window before them.
    def get_file_items(self, *arguments):
        paths = [file.get_location().get_path() for file in arguments[-1]]
        if not paths or None in paths:
            return []
        item = Nautilus.MenuItem(
            name="Xbt::SendToContact", label="Send to Contact…", tip="Send to an XMPP contact with xbt"
        )
        item.connect("activate", lambda _item: subprocess.Popen([COMMAND, "send-to", *paths]))
        return [item]

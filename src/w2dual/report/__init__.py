"""The evaluation on paper: tables, captions, pages and the PDF."""

"""Reports: installed notebooks run for a run-id, their honest records, and pages that open offline."""

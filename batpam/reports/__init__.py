"""Reports: one page per site and one for the survey, for people to read and sign."""

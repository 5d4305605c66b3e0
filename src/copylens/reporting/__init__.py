"""Pages out. In: tables and images. Out: figures and an audit's reports, the same bytes for the same results.

page          the house style, and a page's parts
labels        names of points in a panel
trade_off     a panel of copies against a distance of quality
sentences     numbers and names in sentences
tables        the figures' tables, gathered from results
summaries     numbers in figures: gaps, fronts, spreads and differences
figures       one file per figure of a study
progress      what running jobs say of themselves
closing       a run's last lines: rates and verdicts, or what failed
audit_report  an audit's report, as a page and to sign
"""
